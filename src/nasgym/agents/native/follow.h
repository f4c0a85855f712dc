/* Gradients of the groups are added up, scaled down where they are too large, and followed. */
#ifndef NASGYM_AGENTS_FOLLOW_H
#define NASGYM_AGENTS_FOLLOW_H

#include "lesson.h"

#define PARTS 5
enum { ADAM, RMSPROP };

/* How weights follow gradients. Mirrored in library.py. */
typedef struct {
    int32_t kind;
    float rate, decay, epsilon, norm; /* larger gradients are scaled down to `norm` */
    int64_t steps;                    /* taken before the update */
    float *means[PARTS], *squares[PARTS]; /* moving averages of gradients (Adam) and their squares; table first, then
                                             weight, matrix, heads, biases */
} optimizer;

/* Some numbers of the gradient, from `first` to `last`, and by what they are scaled. */
typedef struct {
    float *gradient;
    long first, last;
    float scale;
} stretch;

/* Add the gradients of groups, in their order; strips of the table become rows. Return the sum of the squares. */
static double add_up(const network *net, long groups, const float *sums, stretch to) {
    long width = 4L * net->units, floats = gradient_floats(net), in_table = net->rows * width;
    vec squares = {0};
    for (long place = to.first; place < to.last; place += LANES) {
        long from = place, column = place % width;
        if (place < in_table) from = (column / STRIP * net->rows + place / width) * STRIP + column % STRIP;
        vec sum = {0};
        for (long group = 0; group < groups; group++) sum += load(sums + group * floats + from);
        store(to.gradient + place, sum);
        squares += sum * sum;
    }
    return total(squares);
}

/* Adam (1412.6980, algorithm 1), as torch has it. */
static void adam(const optimizer *by, long before, stretch along, float *restrict weights, float *restrict means,
                 float *restrict squares) {
    const float *restrict gradient = along.gradient;
    double steps = by->steps + before + 1;
    const float first = 0.9f, second = by->decay, epsilon = by->epsilon, scale = along.scale;
    const float rate = by->rate / (1 - pow(0.9, steps)), root = 1 / sqrt(1 - pow(by->decay, steps));
    for (long i = along.first; i < along.last; i++) {
        float slope = gradient[i] * scale;
        float mean = means[i] + (1 - first) * (slope - means[i]);
        float square = second * squares[i] + (1 - second) * slope * slope;
        means[i] = mean;
        squares[i] = square;
        weights[i] -= rate * mean / (sqrtf(square) * root + epsilon);
    }
}

/* RMSProp, as torch has it: ε outside the root. */
static void rmsprop(const optimizer *by, stretch along, float *restrict weights, float *restrict squares) {
    const float *restrict gradient = along.gradient;
    const float second = by->decay, epsilon = by->epsilon, scale = along.scale, rate = by->rate;
    for (long i = along.first; i < along.last; i++) {
        float slope = gradient[i] * scale;
        float square = second * squares[i] + (1 - second) * slope * slope;
        squares[i] = square;
        weights[i] -= rate * slope / (sqrtf(square) + epsilon);
    }
}

/* Let the weights that a stretch of the gradient belongs to follow it, after `steps` others in the same update. */
static void follow(const optimizer *by, long steps, const network *net, stretch along) {
    long width = 4L * net->units;
    float *weights[PARTS] = {net->table, net->weight, net->matrix, net->heads, net->biases};
    long counts[PARTS] = {net->rows * width, net->units * width, (net->numbers + 1) * width, net->said * net->units,
                          net->said};
    for (int part = 0; part < PARTS; part++) {
        stretch mine = along;
        if (mine.first < 0) mine.first = 0;
        if (mine.last > counts[part]) mine.last = counts[part];
        if (by->kind == ADAM) adam(by, steps, mine, weights[part], by->means[part], by->squares[part]);
        else rmsprop(by, mine, weights[part], by->squares[part]);
        along.gradient += counts[part];
        along.first -= counts[part];
        along.last -= counts[part];
    }
}

#endif
