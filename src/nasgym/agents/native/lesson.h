/* What is learned, and the space that it takes. */
#ifndef NASGYM_AGENTS_LESSON_H
#define NASGYM_AGENTS_LESSON_H

#include "step.h"

#define MAX_THREADS 16
#define GROUP 8 /* environments, at least, in each of the groups into which those of a minibatch are dealt */
#define MAX_GROUPS 4
#define STRIP (2 * LANES)
#define BLOCK 64 /* samples, a sample being one step of one environment, whose slopes are kept for the sums over them */

/* T steps of n environments: what was seen and done, and what it is credited with. Mirrored in library.py. */
typedef struct {
    int64_t length, n;
    const int32_t *rows;                                                 /* (T, n, fields) */
    const float *numbers;                                                /* (T, n, numbers) */
    const uint8_t *mask, *begins;                                        /* (T, n, actions), (T, n) */
    const int64_t *actions;                                              /* (T, n), as all that follow */
    const float *log_probabilities, *advantages, *targets, *rewards, *weights;
    const float *hidden, *cell;                                          /* (n, units): before the first step */
} rollout;

/* What is minimised. Mirrored in library.py. */
typedef struct {
    int32_t clips, normalizes;       /* whether ratios of probabilities are clipped (PPO), advantages normalised */
    int32_t value_shapes_memory;     /* whether the gradient of values goes on to what they are made of */
    float clip;                      /* by how much a ratio may change */
    float value, entropy, auxiliary; /* weights */
} objective;

/* An update: the environments of one minibatch after the other. Mirrored in library.py. */
typedef struct {
    network net;
    rollout seen;
    objective aim;
    const int64_t *places, *borders; /* numbers of environments; minibatch m has those from border m to m + 1 */
    int64_t minibatches;
    int32_t threads;
    float *space;
    double *came_to; /* (minibatches, LOSSES + 1): losses, and the norm of the gradient before it is scaled down */
} lesson;

/* The environments of one minibatch. */
typedef struct {
    const int64_t *places;
    long count, groups;
} deal;

/* Sums over samples, weighted. */
enum { POLICY, VALUE, ENTROPY, AUXILIARY, KL, CLIPPED, LOSSES };

/* Of a minibatch: the sum of its weights, and what makes its advantages have mean 0 and standard deviation 1. */
typedef struct {
    float total, mean, scale;
} credit;

/* One group of environments. Slopes are the gradients before the gates. They are stored in panels,
   [4 units / PANEL][sample][PANEL]; what they are to be multiplied with, units, numbers and 1 by sample, in `left`. */
typedef struct {
    const lesson *of;
    const int64_t *places; /* of its environments */
    long count;
    credit credits;
    /* all steps, each beginning with the environments; cells and outputs begin with what is before the first step */
    float *gates, *cells, *outputs, *of_said;
    /* a step */
    bench on;
    operand *of_gates;          /* slopes, (count, 4 units) */
    float *of_hidden, *of_cell; /* (count, wide), (count, units) */
    float *words;               /* (2, across) */
    /* a block of samples */
    float *slopes, *left;
    operand *panel, *pairs; /* slopes of one panel, and `left`, in pairs of samples */
    const int32_t **chosen; /* rows of the table, by sample */
    long capacity, room, taken; /* samples of a block; space for them and for one that fills up a pair */
    /* gradients */
    float *of_table;  /* [4 units / STRIP][rows][STRIP]: a strip stays in the first-level cache */
    float *of_left;   /* (units + numbers + 1, 4 units) */
    float *of_heads;  /* (said, units) */
    float *of_biases; /* (across,) */
    double *lost;     /* (LOSSES,) */
} group;

INLINE long up(long floats) { return (floats + 15) / 16 * 16; }
INLINE long wide(long units) { return (units + PANEL - 1) / PANEL * PANEL; }
INLINE long lefts(const network *net) { return net->units + net->numbers + 1L; }
INLINE long samples_of(long environments) {
    return environments > BLOCK ? environments : BLOCK / environments * environments;
}

/* Gradients of a group, in the order in which they stand. */
static long gradient_floats(const network *net) {
    return (net->rows + lefts(net)) * 4 * net->units + net->said * net->units + across(net);
}
static long backward_panel_floats(const network *net) { return 4L * net->units * wide(net->units) / DEPTH; }

static deal dealt(const lesson *of, long minibatch) {
    long first = of->borders[minibatch], count = of->borders[minibatch + 1] - first, groups = count / GROUP;
    return (deal){of->places + first, count, groups < 1 ? 1 : groups > MAX_GROUPS ? MAX_GROUPS : groups};
}
INLINE long first_of_group(deal those, long group) { return those.count * group / those.groups; }
static long largest_group(const lesson *of) {
    long largest = 0;
    for (long minibatch = 0; minibatch < of->minibatches; minibatch++) {
        deal those = dealt(of, minibatch);
        long count = (those.count + those.groups - 1) / those.groups;
        if (count > largest) largest = count;
    }
    return largest;
}

/* Take `floats` from `space`, which every part leaves at a border of 64 bytes. */
INLINE float *taken_from(float **space, long floats) {
    float *part = *space;
    *space += up(floats);
    return part;
}

/* Lay the parts of a group out in `space`, and return what is behind them; with null, how many floats they take. */
static float *arranged(group *g, float *space) {
    const network *net = &g->of->net;
    long units = net->units, steps = g->of->seen.length, count = g->count;
    g->capacity = samples_of(count);
    g->room = (count > BLOCK ? count : BLOCK) + 1; /* more environments never take less */
    g->room -= g->room % DEPTH;
    g->gates = taken_from(&space, steps * count * 4 * units);
    g->cells = taken_from(&space, (steps + 1) * count * units);
    g->outputs = taken_from(&space, (steps + 1) * count * units);
    g->of_said = taken_from(&space, steps * count * across(net));
    g->on = bench_in(net, taken_from(&space, bench_floats(net, count)), count);
    g->of_gates = (operand *)taken_from(&space, count * 4 * units / DEPTH);
    g->of_hidden = taken_from(&space, count * wide(units));
    g->of_cell = taken_from(&space, count * units);
    g->words = taken_from(&space, 2 * across(net));
    g->slopes = taken_from(&space, g->room * 4 * units);
    g->left = taken_from(&space, g->room * up(lefts(net)));
    if (DEPTH > 1) {
        g->panel = (operand *)taken_from(&space, g->room / DEPTH * PANEL);
        g->pairs = (operand *)taken_from(&space, g->room / DEPTH * up(lefts(net)));
    }
    g->chosen = (const int32_t **)taken_from(&space, g->room * (sizeof(int32_t *) / sizeof(float)));
    return space;
}

/* A thread has panels of its own, and room for a group. */
static long floats_of_a_thread(const lesson *of) {
    group largest = {.of = of, .count = largest_group(of)};
    long room = (uintptr_t)arranged(&largest, NULL) / sizeof(float);
    return up(panel_floats(&of->net)) + up(backward_panel_floats(&of->net)) + room;
}

#endif
