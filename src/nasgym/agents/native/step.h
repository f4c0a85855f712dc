/* One step of encoder and LSTM, for some environments. */
#ifndef NASGYM_AGENTS_STEP_H
#define NASGYM_AGENTS_STEP_H

#include <string.h>

#include "vectors.h"

/* The weights; the gates are in the order cell, input, forget, output. Mirrored in library.py. */
typedef struct {
    int32_t units, fields, numbers, rows; /* units: a multiple of LANES */
    const float *table, *matrix;          /* (rows, 4 units), (numbers + 1, 4 units): the last row is added to all */
    const float *weight;                  /* (units, 4 units) */
} network;

/* What is seen in one step; each begins with the environments. */
typedef struct {
    const int32_t *rows;
    const float *numbers;
    const uint8_t *begins;
} sight;

/* Where the results of one step go; gates may be null. `before` is the cell before the step, and may be `cell`. */
typedef struct {
    const float *before;
    float *gates, *cell, *hidden;
} step;

/* Sums over units → [units / LANES][unit][gate][LANES]: the four gates of LANES units side by side. */
static void pack_forward(const network *net, float *panels) {
    long units = net->units;
    for (long block = 0; block < units; block += LANES)
        for (long unit = 0; unit < units; unit++)
            for (long gate = 0; gate < 4; gate++, panels += LANES)
                memcpy(panels, net->weight + (unit * 4 + gate) * units + block, LANES * sizeof(float));
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

/* LANES units of `rows` environments from `first` on. */
INLINE void tile(const network *net, const float *panel, const float *inputs, const float *kept, const uint8_t *begins,
                 step to, long first, long block, const int rows) {
    long units = net->units;
    vec sums[ROWS][4];
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int gate = 0; gate < 4; gate++) sums[i][gate] = load(inputs + ((first + i) * 4 + gate) * units + block);
    product(sums, rows, kept + first * units, units, 1, panel, units);
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) {
        long place = (first + i) * units + block;
        vec candidate = tanh_of(sums[i][0]), admit = sigmoid(sums[i][1]);
        vec remember = sigmoid(sums[i][2]), show = sigmoid(sums[i][3]);
        vec cell = admit * candidate;
        if (!begins[first + i]) cell += remember * load(to.before + place);
        store(to.cell + place, cell);
        store(to.hidden + place, show * tanh_of(cell));
        if (to.gates) {
            float *gates = to.gates + (first + i) * 4 * units + block;
            store(gates, candidate);
            store(gates + units, admit);
            store(gates + 2 * units, remember);
            store(gates + 3 * units, show);
        }
    }
}

/* One step of `n` environments. `inputs` has space for (n, 4 units), `kept` for (n, units). */
static void take_step(const network *net, const float *panels, sight seen, const float *hidden, step to, long n,
                      float *inputs, float *kept) {
    long units = net->units;
    for (long i = 0; i < n; i++) {
        encode(net, seen.rows + i * net->fields, seen.numbers + i * net->numbers, inputs + i * 4 * units);
        if (seen.begins[i]) memset(kept + i * units, 0, units * sizeof(float));
        else memcpy(kept + i * units, hidden + i * units, units * sizeof(float));
    }
    for (long block = 0; block < units; block += LANES, panels += units * PANEL) {
        long i = 0;
        for (; i + ROWS <= n; i += ROWS) tile(net, panels, inputs, kept, seen.begins, to, i, block, ROWS);
        for (; i < n; i++) tile(net, panels, inputs, kept, seen.begins, to, i, block, 1);
    }
}

#endif
