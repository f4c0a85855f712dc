/* The classifier that pools: ReLU, average and maximum of every channel, one dense layer; and the loss. In fp32. */
#ifndef NASGYM_HEAD_H
#define NASGYM_HEAD_H

#include <math.h>
#include <string.h>

#include "dense.h"

/* Sixteen numbers of a feature map that a dense layer sees: from element `at` of an image, in a block of channels. */
typedef struct { int32_t at, block, lanes; } group;

/* Mirrored in library.py. */
typedef struct {
    int32_t source, relu, maxima, n_features, n_classes;
    int32_t n_layers, n_groups;   /* dense layers on a flattened feature map, and what they see of it; or none */
    float *weights, *biases;      /* without layers: [feature][class] */
    float *d_weights, *d_biases;  /* their gradients */
    float *features, *d_features; /* [image][feature] */
    float *scores;                /* [image][class]; in a training, turned into their gradient */
    dense *layers;
    group *groups;
    workbench on;
} head;

/* One channel block of one image: every pixel, after BatchNorm and ReLU. */
INLINE __m512 seen(const head *top, affine by, __mmask16 lanes, const bf16 *value) {
    return _mm512_max_ps(_mm512_set1_ps(top->relu ? 0.0f : -INFINITY), apply(by, load_some(lanes, value)));
}

static void features_of(const head *top, const node *it, int number) {
    const __mmask16 lanes = lanes_of(it);
    const __m512 pixels = _mm512_set1_ps(1.0f / (float)(it->height * it->width));
    float *features = top->features + (long)number * top->n_features;
    for (int block = 0; block < it->blocks; block++) {
        const affine by = affine_of(it, block);
        const bf16 *value = it->value + number * image(it) + block * run(it);
        __m512 sum = _mm512_setzero_ps(), best = _mm512_set1_ps(-INFINITY);
        for (int y = 0; y < it->height; y++)
            for (int x = 0; x < it->width; x++) {
                const __m512 pixel = seen(top, by, lanes, value + y * row(it) + (long)x * it->block);
                sum = _mm512_add_ps(sum, pixel);
                best = _mm512_max_ps(best, pixel);
            }
        const int first = block * it->block, left = it->channels - first;
        const __mmask16 kept = left >= LANES ? 0xFFFF : (__mmask16)((1u << left) - 1);
        const __mmask16 real = kept & lanes;
        _mm512_mask_storeu_ps(features + first, real, _mm512_mul_ps(sum, pixels));
        if (top->maxima) _mm512_mask_storeu_ps(features + it->channels + first, real, best);
    }
}

static void scores_of(const head *top, int n) {
    const int k = top->n_classes;
    for (int number = 0; number < n; number++) {
        float *scores = top->scores + (long)number * k;
        const float *features = top->features + (long)number * top->n_features;
        memcpy(scores, top->biases, (size_t)k * sizeof *scores);
        for (int f = 0; f < top->n_features; f++) {
            const float feature = features[f], *weights = top->weights + (long)f * k;
            for (int c = 0; c < k; c++) scores[c] += feature * weights[c];
        }
    }
}

/* Cross-entropy of one image; where `scale` is not 0, its scores become their gradient times `scale`. */
static double cross_entropy(float *scores, int k, int64_t label, float smoothing, float scale) {
    float highest = scores[0];
    double sum = 0.0, total = 0.0;
    for (int c = 1; c < k; c++) highest = fmaxf(highest, scores[c]);
    for (int c = 0; c < k; c++) {
        sum += expf(scores[c] - highest);
        total += scores[c];
    }
    const double log_sum = highest + log(sum);
    const double loss = (1.0 - smoothing) * (log_sum - scores[label]) + smoothing * (log_sum - total / k);
    if (scale != 0.0f) {
        for (int c = 0; c < k; c++)
            scores[c] = scale * ((float)(expf(scores[c] - highest) / sum) - smoothing / (float)k);
        scores[label] -= scale * (1.0f - smoothing);
    }
    return loss;
}

/* From the gradient of the scores to those of weights, biases and features. */
static void descend_scores(const head *top, int n) {
    const int k = top->n_classes;
    memset(top->d_weights, 0, (size_t)top->n_features * (size_t)k * sizeof(float));
    memset(top->d_biases, 0, (size_t)k * sizeof(float));
    for (int number = 0; number < n; number++) {
        const float *gradient = top->scores + (long)number * k;
        const float *features = top->features + (long)number * top->n_features;
        float *d_features = top->d_features + (long)number * top->n_features;
        for (int c = 0; c < k; c++) top->d_biases[c] += gradient[c];
        for (int f = 0; f < top->n_features; f++) {
            const float *weights = top->weights + (long)f * k, feature = features[f];
            float *d_weights = top->d_weights + (long)f * k, sum = 0.0f;
            for (int c = 0; c < k; c++) {
                d_weights[c] += feature * gradient[c];
                sum += weights[c] * gradient[c];
            }
            d_features[f] = sum;
        }
    }
}

/* From the gradient of the features to that of the feature map; equal maxima share it. */
static void descend_features(const head *top, const node *it, int number, int adds) {
    const float *d_features = top->d_features + (long)number * top->n_features;
    const float *features = top->features + (long)number * top->n_features;
    const __m512 zero = _mm512_setzero_ps();
    const __m512 share = _mm512_set1_ps(1.0f / (float)(it->height * it->width));
    for (int block = 0; block < it->blocks; block++) {
        const affine by = affine_of(it, block);
        const int first = block * LANES, left = it->channels - first;
        const __mmask16 real = left >= LANES ? 0xFFFF : (__mmask16)((1u << left) - 1);
        const __m512 mean = _mm512_mul_ps(_mm512_maskz_loadu_ps(real, d_features + first), share);
        const long at = number * image(it) + block * run(it);
        __m512 best = _mm512_set1_ps(INFINITY), peak = zero, ties = zero;
        if (top->maxima) {
            best = _mm512_maskz_loadu_ps(real, features + it->channels + first);
            for (int p = 0; p < it->height * it->width; p++) {
                const long pixel = at + p / it->width * row(it) + p % it->width * LANES;
                const __mmask16 equal = _mm512_cmp_ps_mask(seen(top, by, 0xFFFF, it->value + pixel), best, _CMP_EQ_OQ);
                ties = _mm512_mask_add_ps(ties, equal, ties, _mm512_set1_ps(1.0f));
            }
            peak = _mm512_div_ps(_mm512_maskz_loadu_ps(real, d_features + it->channels + first), ties);
        }
        for (int p = 0; p < it->height * it->width; p++) {
            const long pixel = at + p / it->width * row(it) + p % it->width * LANES;
            const __m512 value = seen(top, by, 0xFFFF, it->value + pixel);
            __m512 gradient = _mm512_mask_add_ps(mean, _mm512_cmp_ps_mask(value, best, _CMP_EQ_OQ), mean, peak);
            if (top->relu) gradient = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(value, zero, _CMP_GT_OQ), gradient);
            if (adds) gradient = _mm512_add_ps(gradient, load(it->gradient + pixel));
            store(it->gradient + pixel, _mm512_maskz_mov_ps(real, gradient));
        }
    }
}

#endif
