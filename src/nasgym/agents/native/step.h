/* One step of encoder, LSTM and heads, for some environments. */
#ifndef NASGYM_AGENTS_STEP_H
#define NASGYM_AGENTS_STEP_H

#include <string.h>

#include "vectors.h"

/* The weights; the gates are in the order cell, input, forget, output, the heads logits, value, predictions. Mirrored
   in library.py. */
typedef struct {
    int32_t units, fields, numbers, rows; /* units: a multiple of LANES */
    int32_t said, actions;
    float *table, *matrix;                /* (rows, 4 units), (numbers + 1, 4 units): the last row is added to all */
    float *weight;                        /* (units, 4 units) */
    float *heads, *biases;                /* (said, units), (said,) */
    float masked;                         /* logit of a masked action */
} network;

/* What is seen in one step; each begins with the environments. */
typedef struct {
    const int32_t *rows;
    const float *numbers;
    const uint8_t *begins;
} sight;

/* What is kept from step to step, (n, units) each. */
typedef struct {
    float *hidden, *cell;
} memory;

/* What a step of n environments begins with. */
typedef struct {
    float *inputs; /* (n, 4 units): what enters the gates */
    memory kept;   /* zeros where everything is forgotten */
} bench;

INLINE long across(const network *net) { return (net->said + 15) / 16 * 16; } /* with empty lanes behind the last */
static long panel_floats(const network *net) { return 4L * net->units * net->units + (net->units + 1) * across(net); }

/* Weights → [units / LANES][unit][gate][LANES]: sums over units, the four gates of LANES units side by side; then the
   heads → [unit][said], and their biases, with zeros behind the last. */
static void pack_forward(const network *net, float *panels) {
    long units = net->units, words = across(net);
    for (long block = 0; block < units; block += LANES)
        for (long unit = 0; unit < units; unit++)
            for (long gate = 0; gate < 4; gate++, panels += LANES)
                memcpy(panels, net->weight + (unit * 4 + gate) * units + block, LANES * sizeof(float));
    for (long unit = 0; unit <= units; unit++)
        for (long word = 0; word < words; word++, panels++) {
            const float *from = unit < units ? net->heads + word * units + unit : net->biases + word;
            *panels = word < net->said ? *from : 0.0f;
        }
}

/* What enters the gates of one environment: rows of the table, and numbers times the matrix. */
INLINE void encode(const network *net, const int32_t *rows, const float *numbers, float *inputs) {
    long width = 4L * net->units;
    for (long column = 0; column < width; column += PANEL) {
        const float *bias = net->matrix + net->numbers * width + column;
        vec sums[4];
        for (int part = 0; part < 4; part++) sums[part] = load(bias + part * LANES);
        for (int field = 0; field < net->fields; field++) {
            const float *row = net->table + rows[field] * width + column;
#pragma GCC unroll 4
            for (int part = 0; part < 4; part++) sums[part] += load(row + part * LANES);
        }
        for (int number = 0; number < net->numbers; number++) {
            const float *row = net->matrix + number * width + column;
#pragma GCC unroll 4
            for (int part = 0; part < 4; part++) sums[part] += load(row + part * LANES) * numbers[number];
        }
        for (int part = 0; part < 4; part++) store(inputs + column + part * LANES, sums[part]);
    }
}

INLINE long bench_floats(const network *net, long n) { return n * 6 * net->units; }
INLINE bench bench_in(const network *net, float *space, long n) {
    float *kept = space + n * 4 * net->units;
    return (bench){space, {kept, kept + n * net->units}};
}

/* Lay out, in row `i`, what environment `place` sees and what it keeps of row `i` of `before`. */
INLINE void lay_out(const network *net, sight seen, long place, memory before, bench on, long i) {
    long units = net->units, size = units * sizeof(float);
    encode(net, seen.rows + place * net->fields, seen.numbers + place * net->numbers, on.inputs + i * 4 * units);
    if (seen.begins[place]) {
        memset(on.kept.hidden + i * units, 0, size);
        memset(on.kept.cell + i * units, 0, size);
    } else {
        memcpy(on.kept.hidden + i * units, before.hidden + i * units, size);
        memcpy(on.kept.cell + i * units, before.cell + i * units, size);
    }
}

/* LANES units of `rows` environments from `first` on; gates may be null. */
INLINE void tile(const network *net, const float *panel, bench on, memory after, float *gates, long first, long block,
                 const int rows) {
    long units = net->units;
    vec sums[ROWS][4];
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int gate = 0; gate < 4; gate++) sums[i][gate] = load(on.inputs + ((first + i) * 4 + gate) * units + block);
    product(sums, rows, on.kept.hidden + first * units, units, 1, panel, units);
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) {
        long place = (first + i) * units + block;
        vec candidate = tanh_of(sums[i][0]), admit = sigmoid(sums[i][1]);
        vec remember = sigmoid(sums[i][2]), show = sigmoid(sums[i][3]);
        vec cell = admit * candidate + remember * load(on.kept.cell + place);
        store(after.cell + place, cell);
        store(after.hidden + place, show * tanh_of(cell));
        if (gates) {
            float *to = gates + (first + i) * 4 * units + block;
            store(to, candidate);
            store(to + units, admit);
            store(to + 2 * units, remember);
            store(to + 3 * units, show);
        }
    }
}

/* One step of `n` environments that are laid out. */
static void take_step(const network *net, const float *panels, bench on, memory after, float *gates, long n) {
    long units = net->units;
    for (long block = 0; block < units; block += LANES, panels += units * PANEL) {
        long i = 0;
        for (; i + ROWS <= n; i += ROWS) tile(net, panels, on, after, gates, i, block, ROWS);
        for (; i < n; i++) tile(net, panels, on, after, gates, i, block, 1);
    }
}

/* What the heads say of hidden units; `said` has space for all `across`. */
INLINE void speak(const network *net, const float *panels, const float *hidden, float *said) {
    long units = net->units, words = across(net);
    const float *heads = panels + 4 * units * units;
    for (long word = 0; word < words; word += LANES) {
        vec sums[4] = {load(heads + units * words + word)};
        for (long unit = 0; unit < units; unit += 4)
#pragma GCC unroll 4
            for (int part = 0; part < 4; part++)
                sums[part] += load(heads + (unit + part) * words + word) * hidden[unit + part];
        store(said + word, (sums[0] + sums[1]) + (sums[2] + sums[3]));
    }
}

#endif
