/* AdamW, in fp32. */
#ifndef NASGYM_ADAM_H
#define NASGYM_ADAM_H

#include <math.h>

#include "vectors.h"

/* At one step; corrections: 1 − beta^step. Mirrored in library.py. */
typedef struct { float rate, beta1, beta2, epsilon, decay, correction1, correction2; } adam;

/* Parameters one after the other, of which the first `n_decayed` lose weight. */
static void descend_parameters(const adam *by, float *parameters, const float *gradients, float *firsts, float *seconds,
                               int64_t n_decayed, int64_t n_parameters) {
    const float size = by->rate / by->correction1, root = 1.0f / sqrtf(by->correction2);
    for (int64_t i = 0; i < n_parameters; i++) {
        const float gradient = gradients[i], decay = i < n_decayed ? by->rate * by->decay : 0.0f;
        const float first = firsts[i] + (1.0f - by->beta1) * (gradient - firsts[i]);
        const float second = by->beta2 * seconds[i] + (1.0f - by->beta2) * gradient * gradient;
        firsts[i] = first;
        seconds[i] = second;
        parameters[i] -= decay * parameters[i] + size * first / (sqrtf(second) * root + by->epsilon);
    }
}

/* The same for sixteen weights whose gradient is at hand. */
typedef struct { __m512 take1, keep2, take2, size, root, epsilon, left; } adam_lanes;

static adam_lanes lanes_of_adam(const adam *by) {
    return (adam_lanes){.take1 = _mm512_set1_ps(1.0f - by->beta1),
                        .keep2 = _mm512_set1_ps(by->beta2),
                        .take2 = _mm512_set1_ps(1.0f - by->beta2),
                        .size = _mm512_set1_ps(by->rate / by->correction1),
                        .root = _mm512_set1_ps(1.0f / sqrtf(by->correction2)),
                        .epsilon = _mm512_set1_ps(by->epsilon),
                        .left = _mm512_set1_ps(1.0f - by->rate * by->decay)};
}

INLINE void descend_lanes(const adam_lanes *by, __m512 gradient, float *weights, float *firsts, float *seconds) {
    const __m512 before = _mm512_loadu_ps(firsts);
    const __m512 first = _mm512_fmadd_ps(by->take1, _mm512_sub_ps(gradient, before), before);
    const __m512 square = _mm512_mul_ps(_mm512_mul_ps(by->take2, gradient), gradient);
    const __m512 second = _mm512_fmadd_ps(by->keep2, _mm512_loadu_ps(seconds), square);
    const __m512 below = _mm512_fmadd_ps(_mm512_sqrt_ps(second), by->root, by->epsilon);
    const __m512 step = _mm512_div_ps(_mm512_mul_ps(by->size, first), below);
    _mm512_storeu_ps(firsts, first);
    _mm512_storeu_ps(seconds, second);
    _mm512_storeu_ps(weights, _mm512_fmsub_ps(by->left, _mm512_loadu_ps(weights), step));
}

#endif
