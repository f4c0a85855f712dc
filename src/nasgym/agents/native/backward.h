/* The gradient of a group of environments: back through time, and the sums over steps in blocks of samples. */
#ifndef NASGYM_AGENTS_BACKWARD_H
#define NASGYM_AGENTS_BACKWARD_H

#include "losses.h"

/* Sums over gates → [units / PANEL][gates of a unit][PANEL] operands, with zeros behind the last unit. */
static void pack_backward(const network *net, operand *panels) {
    long units = net->units, width = 4 * units;
    memset(panels, 0, backward_panel_floats(net) * sizeof(float));
    for (long unit = 0; unit < units; unit++)
        for (long column = 0; column < width; column += LANES) {
            operand *to = panels + (unit / PANEL * width + column) / DEPTH * PANEL + unit % PANEL;
            operand these[LANES / DEPTH];
            narrow(net->weight + unit * width + column, these);
            for (int i = 0; i < LANES / DEPTH; i++) to[i * PANEL] = these[i];
        }
}

INLINE float *slopes_at(const group *g, long column, long sample) {
    return g->slopes + (column / PANEL * g->room + sample) * PANEL + column % PANEL;
}

/* The slopes of one environment in step t, and what of the cell's gradient goes to the step before. */
INLINE void slope(group *g, long t, long environment, int begins) {
    long units = g->of->net.units, sample = g->taken + environment, here = t * g->count + environment;
    const float *gates = g->gates + here * 4 * units;
    const float *earlier = g->cells + here * units, *later = earlier + g->count * units;
    float *of_hidden = g->of_hidden + environment * wide(units), *of_cell = g->of_cell + environment * units;
    operand *of_gates = g->of_gates + environment * 4 * units / DEPTH;
    for (long unit = 0; unit < units; unit += LANES) {
        vec candidate = load(gates + unit), admit = load(gates + units + unit);
        vec remember = load(gates + 2 * units + unit), show = load(gates + 3 * units + unit);
        vec squashed = tanh_of(load(later + unit));
        vec before = begins ? all(0.0f) : load(earlier + unit);
        vec towards = load(of_hidden + unit);
        vec cells = load(of_cell + unit) + towards * show * (1.0f - squashed * squashed);
        vec slopes[4] = {
            cells * admit * (1.0f - candidate * candidate),
            cells * candidate * admit * (1.0f - admit),
            cells * before * remember * (1.0f - remember),
            towards * squashed * show * (1.0f - show),
        };
#pragma GCC unroll 4
        for (int gate = 0; gate < 4; gate++) {
            float *to = slopes_at(g, gate * units + unit, sample);
            store(to, slopes[gate]);
            narrow(to, of_gates + (gate * units + unit) / DEPTH);
        }
        cells *= remember;
        store(of_cell + unit, begins ? all(0.0f) : cells);
    }
}

/* The gradient of the hidden units before a step, of `rows` environments from `first` on: slopes times weights. */
INLINE void back(group *g, const operand *panels, const uint8_t *begins, long first, const int rows) {
    long units = g->of->net.units, width = 4 * units / DEPTH;
    for (long unit = 0; unit < units; unit += PANEL, panels += width * PANEL) {
        vec sums[ROWS][4] = {0};
        product_of_operands(sums, rows, g->of_gates + first * width, width, 1, panels, width);
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (int part = 0; part < 4; part++)
                store(g->of_hidden + (first + i) * wide(units) + unit + part * LANES,
                      begins[g->places[first + i]] ? all(0.0f) : sums[i][part]);
    }
}

/* The samples of a block as operands of sums over samples: slopes of one panel, and what they are multiplied with. */
#if DEPTH == 1
INLINE const operand *panel_of(group *g, long column) { return slopes_at(g, column, 0); }
INLINE const operand *left_of(group *g) { return g->left; }
#else
INLINE const operand *panel_of(group *g, long column) {
    for (long sample = 0; sample < g->taken; sample += DEPTH)
        for (long lane = 0; lane < PANEL; lane += LANES) {
            const float *first = slopes_at(g, column + lane, sample);
            pair_up(first, first + PANEL, g->panel + sample / DEPTH * PANEL + lane);
        }
    return g->panel;
}
INLINE const operand *left_of(group *g) {
    long height = up(lefts(&g->of->net));
    for (long sample = 0; sample < g->taken; sample += DEPTH)
        for (long row = 0; row < height; row += LANES) {
            const float *first = g->left + sample * height + row;
            pair_up(first, first + height, g->pairs + sample / DEPTH * height + row);
        }
    return g->pairs;
}
#endif

/* What the samples of a block give to `rows` rows of the gradient that belongs to `left`, in the panel at a column. */
INLINE void add_products(group *g, const operand *left, const operand *panel, long column, long first, const int rows) {
    long width = 4L * g->of->net.units, samples = (g->taken + DEPTH - 1) / DEPTH;
    float *gradient = g->of_left + first * width + column;
    vec sums[ROWS][4];
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int part = 0; part < 4; part++) sums[i][part] = load(gradient + i * width + part * LANES);
    product_of_operands(sums, rows, left + first, 1, up(lefts(&g->of->net)), panel, samples);
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int part = 0; part < 4; part++) store(gradient + i * width + part * LANES, sums[i][part]);
}

/* Where samples are multiplied in pairs, the last one may need another beside it: one of zeros. */
static void fill_up(group *g) {
    long width = 4L * g->of->net.units, height = up(lefts(&g->of->net));
    if (g->taken % DEPTH == 0) return;
    for (long column = 0; column < width; column += PANEL)
        memset(slopes_at(g, column, g->taken), 0, PANEL * sizeof(float));
    memset(g->left + g->taken * height, 0, height * sizeof(float));
}

/* Add what the samples of a block give to the gradients of the weights. */
static void add_block(group *g) {
    const network *net = &g->of->net;
    long width = 4L * net->units, height = lefts(net);
    fill_up(g);
    const operand *left = left_of(g);
    for (long column = 0; column < width; column += PANEL) {
        const operand *panel = panel_of(g, column);
        long row = 0;
        for (; row + ROWS <= height; row += ROWS) add_products(g, left, panel, column, row, ROWS);
        for (; row < height; row++) add_products(g, left, panel, column, row, 1);
    }
    for (long column = 0; column < width; column += STRIP) {
        float *of_table = g->of_table + column * net->rows;
        for (long sample = 0; sample < g->taken; sample++) {
            const int32_t *rows = g->chosen[sample];
            vec one = load(slopes_at(g, column, sample)), other = load(slopes_at(g, column + LANES, sample));
            for (int field = 0; field < net->fields; field++) {
                float *row = of_table + (long)rows[field] * STRIP;
                store(row, load(row) + one);
                store(row + LANES, load(row + LANES) + other);
            }
        }
    }
    g->taken = 0;
}

/* What slopes are multiplied with, for one environment in step t: hidden units before it, numbers seen, and 1. */
INLINE void note_left(group *g, long t, long environment, int begins) {
    const network *net = &g->of->net;
    const rollout *seen = &g->of->seen;
    long sample = g->taken + environment, place = t * seen->n + g->places[environment];
    float *left = g->left + sample * up(lefts(net));
    if (begins) memset(left, 0, net->units * sizeof(float));
    else memcpy(left, g->outputs + (t * g->count + environment) * net->units, net->units * sizeof(float));
    memcpy(left + net->units, seen->numbers + place * net->numbers, net->numbers * sizeof(float));
    left[net->units + net->numbers] = 1.0f;
    g->chosen[sample] = seen->rows + place * net->fields;
}

/* A group, back through time. */
static void go_back(group *g, const operand *panels) {
    const network *net = &g->of->net;
    const rollout *seen = &g->of->seen;
    memset(g->of_hidden, 0, g->count * wide(net->units) * sizeof(float));
    memset(g->of_cell, 0, g->count * net->units * sizeof(float));
    g->taken = 0;
    for (long t = seen->length - 1; t >= 0; t--) {
        const uint8_t *begins = seen->begins + t * seen->n;
        for (long i = 0; i < g->count; i++) {
            hand_back(g, g->of_said + (t * g->count + i) * across(net), g->of_hidden + i * wide(net->units));
            slope(g, t, i, begins[g->places[i]]);
            note_left(g, t, i, begins[g->places[i]]);
        }
        long i = 0;
        for (; t && i + ROWS <= g->count; i += ROWS) back(g, panels, begins, i, ROWS);
        for (; t && i < g->count; i++) back(g, panels, begins, i, 1);
        g->taken += g->count;
        if (!t || g->taken == g->capacity) add_block(g);
    }
}

#endif
