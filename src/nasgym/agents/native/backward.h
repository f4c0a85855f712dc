/* The gradient of a sequence: back through time, and the sums over steps in blocks of samples. */
#ifndef NASGYM_AGENTS_BACKWARD_H
#define NASGYM_AGENTS_BACKWARD_H

#include "step.h"

#define MAX_THREADS 16
#define STRIP (2 * LANES)
#define BLOCK 64 /* samples, a sample being one step of one environment, whose slopes are kept for the sums over them */

/* T steps of n environments. Mirrored in library.py. */
typedef struct {
    network net;
    int64_t length, n;
    int32_t groups, threads;
    const int32_t *rows;                 /* (T, n, fields) */
    const float *numbers;                /* (T, n, numbers) */
    const uint8_t *begins;               /* (T, n) */
    const float *hidden, *cell;          /* (n, units): before the first step */
    float *gates, *cells, *outputs;      /* (T, n, 4 units), (T, n, units) twice */
    const float *of_outputs;             /* gradient of outputs */
    float *sums;                         /* space for the gradients of each group */
} sequence;

/* Slopes are the gradients before the gates. They are stored in panels, [4 units / PANEL][sample][PANEL]; what they are
   to be multiplied with, [sample][units + numbers + 1], lies in `left`. */
typedef struct {
    const sequence *of;
    float *slopes, *left, *of_hidden, *of_cell;
    const int32_t **chosen; /* rows of the table, by sample */
    float *of_table;        /* [4 units / STRIP][rows][STRIP]: a strip stays in the first-level cache */
    float *of_left;         /* (units + numbers + 1, 4 units) */
    long capacity, taken;   /* samples of a block */
} block;

INLINE sight seen_at(const sequence *of, long place) {
    return (sight){of->rows + place * of->net.fields, of->numbers + place * of->net.numbers, of->begins + place};
}
INLINE long wide(long units) { return (units + PANEL - 1) / PANEL * PANEL; }
INLINE long lefts(const network *net) { return net->units + net->numbers + 1L; }
INLINE long capacity_of(long environments) {
    return environments > BLOCK ? environments : BLOCK / environments * environments;
}

static long gradient_floats(const network *net) { return (net->rows + lefts(net)) * 4 * net->units; }
static long backward_panel_floats(const network *net) { return 4L * net->units * wide(net->units); }
static long backward_floats(const sequence *of, long environments) {
    long samples = environments > BLOCK ? environments : BLOCK;
    long pointers = samples * sizeof(int32_t *) / sizeof(float);
    return pointers + samples * (4L * of->net.units + lefts(&of->net)) +
           environments * (wide(of->net.units) + of->net.units);
}

/* Sums over gates → [units / PANEL][gate of a unit][PANEL], with zeros behind the last unit. */
static void pack_backward(const network *net, float *panels) {
    long units = net->units, width = 4 * units;
    for (long first = 0; first < units; first += PANEL)
        for (long column = 0; column < width; column++)
            for (long unit = first; unit < first + PANEL; unit++)
                *panels++ = unit < units ? net->weight[unit * width + column] : 0.0f;
}

INLINE float *slopes_at(const block *b, long column, long sample) {
    return b->slopes + (column / PANEL * b->capacity + sample) * PANEL + column % PANEL;
}

/* The slopes of one environment in step `place`, and what of the cell's gradient goes to the step before. */
INLINE void slope(block *b, long place, long previous, const float *cell, long environment) {
    const sequence *of = b->of;
    long units = of->net.units, sample = b->taken + environment;
    const float *gates = of->gates + place * 4 * units;
    float *of_hidden = b->of_hidden + environment * wide(units), *of_cell = b->of_cell + environment * units;
    int begins = of->begins[place];
    for (long unit = 0; unit < units; unit += LANES) {
        vec candidate = load(gates + unit), admit = load(gates + units + unit);
        vec remember = load(gates + 2 * units + unit), show = load(gates + 3 * units + unit);
        vec squashed = tanh_of(load(of->cells + place * units + unit));
        vec before = begins ? all(0.0f) : load(cell + previous * units + unit);
        vec towards = load(of->of_outputs + place * units + unit) + load(of_hidden + unit);
        vec cells = load(of_cell + unit) + towards * show * (1.0f - squashed * squashed);
        store(slopes_at(b, unit, sample), cells * admit * (1.0f - candidate * candidate));
        store(slopes_at(b, units + unit, sample), cells * candidate * admit * (1.0f - admit));
        store(slopes_at(b, 2 * units + unit, sample), cells * before * remember * (1.0f - remember));
        store(slopes_at(b, 3 * units + unit, sample), towards * squashed * show * (1.0f - show));
        vec earlier = cells * remember;
        store(of_cell + unit, begins ? all(0.0f) : earlier);
    }
}

/* The gradient of the hidden units before a step, of `rows` environments from `first` on: slopes times weights. */
INLINE void back(block *b, const float *panels, const uint8_t *begins, long first, const int rows) {
    long units = b->of->net.units, width = 4 * units;
    for (long unit = 0; unit < units; unit += PANEL) {
        vec sums[ROWS][4] = {0};
        for (long column = 0; column < width; column += PANEL, panels += PANEL * PANEL)
            product(sums, rows, slopes_at(b, column, b->taken + first), PANEL, 1, panels, PANEL);
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (int part = 0; part < 4; part++)
                store(b->of_hidden + (first + i) * wide(units) + unit + part * LANES,
                      begins[first + i] ? all(0.0f) : sums[i][part]);
    }
}

/* What the samples of a block give to `rows` rows of the gradient that belongs to `left`, in one panel. */
INLINE void add_products(block *b, long column, long first, const int rows) {
    long width = 4L * b->of->net.units, across = lefts(&b->of->net);
    float *gradient = b->of_left + first * width + column;
    vec sums[ROWS][4];
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int part = 0; part < 4; part++) sums[i][part] = load(gradient + i * width + part * LANES);
    product(sums, rows, b->left + first, 1, across, slopes_at(b, column, 0), b->taken);
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int part = 0; part < 4; part++) store(gradient + i * width + part * LANES, sums[i][part]);
}

/* Add what the samples of a block give to the gradients of the weights. */
static void add_block(block *b) {
    const network *net = &b->of->net;
    long width = 4L * net->units, across = lefts(net);
    for (long column = 0; column < width; column += PANEL) {
        long row = 0;
        for (; row + ROWS <= across; row += ROWS) add_products(b, column, row, ROWS);
        for (; row < across; row++) add_products(b, column, row, 1);
    }
    for (long column = 0; column < width; column += STRIP) {
        float *of_table = b->of_table + column * net->rows;
        for (long sample = 0; sample < b->taken; sample++) {
            const int32_t *rows = b->chosen[sample];
            vec one = load(slopes_at(b, column, sample)), other = load(slopes_at(b, column + LANES, sample));
            for (int field = 0; field < net->fields; field++) {
                float *row = of_table + (long)rows[field] * STRIP;
                store(row, load(row) + one);
                store(row + LANES, load(row + LANES) + other);
            }
        }
    }
    b->taken = 0;
}

/* What slopes are multiplied with, for one environment in a step: hidden units before it, numbers seen, and 1. */
INLINE void note_left(block *b, sight seen, const float *hidden, long environment) {
    const network *net = &b->of->net;
    long sample = b->taken + environment;
    float *left = b->left + sample * lefts(net);
    if (seen.begins[environment]) memset(left, 0, net->units * sizeof(float));
    else memcpy(left, hidden + environment * net->units, net->units * sizeof(float));
    memcpy(left + net->units, seen.numbers + environment * net->numbers, net->numbers * sizeof(float));
    left[net->units + net->numbers] = 1.0f;
    b->chosen[sample] = seen.rows + environment * net->fields;
}

/* One group of environments, back through time; its gradients go to its part of `sums`. */
static void backward_group(const sequence *of, const float *panels, long group, long first, long last, float *space) {
    const network *net = &of->net;
    long units = net->units, count = last - first, samples = count > BLOCK ? count : BLOCK;
    block b = {.of = of, .capacity = capacity_of(count)};
    b.chosen = (const int32_t **)space;
    b.slopes = space + samples * sizeof(int32_t *) / sizeof(float);
    b.left = b.slopes + samples * 4 * units;
    b.of_hidden = b.left + samples * lefts(net);
    b.of_cell = b.of_hidden + count * wide(units);
    b.of_table = of->sums + group * gradient_floats(net);
    b.of_left = b.of_table + net->rows * 4 * units;
    memset(b.of_table, 0, gradient_floats(net) * sizeof(float));
    memset(b.of_hidden, 0, count * (wide(units) + units) * sizeof(float));
    for (long t = of->length - 1; t >= 0; t--) {
        long now = t * of->n + first;
        const float *cell = t ? of->cells + (now - of->n) * units : of->cell + first * units;
        const float *hidden = t ? of->outputs + (now - of->n) * units : of->hidden + first * units;
        sight seen = seen_at(of, now);
        for (long i = 0; i < count; i++) {
            slope(&b, now + i, i, cell, i);
            note_left(&b, seen, hidden, i);
        }
        long i = 0;
        for (; t && i + ROWS <= count; i += ROWS) back(&b, panels, seen.begins, i, ROWS);
        for (; t && i < count; i++) back(&b, panels, seen.begins, i, 1);
        b.taken += count;
        if (!t || b.taken == b.capacity) add_block(&b);
    }
}

/* Add the gradients of the groups, in their order. */
static void add_up(const sequence *of, float *gradients) {
    const network *net = &of->net;
    long width = 4L * net->units, floats = gradient_floats(net), in_table = net->rows * width;
    for (long row = 0; row < net->rows; row++)
        for (long column = 0; column < width; column += LANES) {
            vec sums = {0};
            for (long group = 0; group < of->groups; group++)
                {
                const float *strip = of->sums + group * floats + column / STRIP * STRIP * net->rows;
                sums += load(strip + row * STRIP + column % STRIP);
            }
            store(gradients + row * width + column, sums);
        }
    for (long place = in_table; place < floats; place += LANES) {
        vec sums = {0};
        for (long group = 0; group < of->groups; group++) sums += load(of->sums + group * floats + place);
        store(gradients + place, sums);
    }
}

#endif
