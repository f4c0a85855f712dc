/* Everything but convolutions: what goes over a feature map once. */
#ifndef NASGYM_PASSES_H
#define NASGYM_PASSES_H

#include <math.h>
#include <string.h>

#include "vectors.h"

/* How a feature map lies in memory that has zeros around it: numbers from row to row, from block to block of channels,
   and from pixel to pixel, which has room for one block or several. */
typedef struct { long row, plane; int pixel; } spread;

INLINE long offset_of(const spread *by, const node *of, int y, int block) {
    const int together = by->pixel / of->block;
    return y * by->row + block / together * by->plane + block % together * of->block;
}

/* `to` = `from`, after its BatchNorm and perhaps a ReLU; `to` is the first pixel. */
static void surround(const node *from, const bf16 *value, bf16 *to, spread on, int relu) {
    const long length = run(from);
    const __m512 least = _mm512_set1_ps(relu ? 0.0f : -INFINITY);
    for (int line = 0; line < from->height * from->blocks; line++, value += length) {
        const int block = line % from->blocks;
        const affine by = affine_of(from, block);
        bf16 *at = to + offset_of(&on, from, line / from->blocks, block);
        long x = 0;
        for (const int step = LANES / from->block * on.pixel; x + LANES <= length; x += LANES, at += step)
            store(at, _mm512_max_ps(least, apply(by, load(value + x))));
        if (x < length) {
            const __mmask16 rest = (__mmask16)((1u << (length - x)) - 1);
            store_some(rest, at, _mm512_max_ps(least, apply(by, load_some(rest, value + x))));
        }
    }
}

/* Scale and shift of a BatchNorm from the statistics of the batch, which the running ones follow. */
static void normalise(node *it, const __m512 *sums, const __m512 *squares, double count) {
    for (int c = 0; c < it->channels; c++) {
        const double mean = ((const float *)sums)[c] / count;
        const double variance = fmax(((const float *)squares)[c] / count - mean * mean, 0.0);
        const double deviation = 1.0 / sqrt(variance + it->epsilon);
        it->mean[c] = (float)mean;
        it->deviation[c] = (float)deviation;
        it->scale[c] = (float)(it->gamma[c] * deviation);
        it->shift[c] = (float)(it->beta[c] - it->gamma[c] * deviation * mean);
        it->running_mean[c] += 0.1f * ((float)mean - it->running_mean[c]);
        it->running_variance[c] += 0.1f * ((float)(variance * count / fmax(count - 1, 1)) - it->running_variance[c]);
    }
}

/* The same from the running statistics. */
static void normalise_by_running(node *it) {
    for (int c = 0; c < it->channels; c++) {
        it->scale[c] = it->gamma[c] / sqrtf(it->running_variance[c] + it->epsilon);
        it->shift[c] = it->beta[c] - it->scale[c] * it->running_mean[c];
    }
}

/* What turns the gradient after a BatchNorm into that before it: `slope · gradient + bend · value + level`. */
typedef struct { float *slope, *bend, *level; } descent;

/* The gradient of sixteen numbers; where there is no BatchNorm, that before the last ReLU. */
INLINE __m512 before_relu(const node *it, const bf16 *gradient, const bf16 *value) {
    const __m512 whole = load(gradient);
    if (it->scale) return whole;
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(load(value), _mm512_setzero_ps(), _CMP_GT_OQ), whole);
}

static void sums_of_gradient(const node *it, int n, __m512 *sums, __m512 *products) {
    const bf16 *gradient = it->gradient, *value = it->value;
    for (int block = 0; block < it->blocks; block++) sums[block] = products[block] = _mm512_setzero_ps();
    for (long line = 0; line < (long)n * it->height * it->blocks; line++) {
        __m512 sum = _mm512_setzero_ps(), product = _mm512_setzero_ps();
        for (int x = 0; x < it->width; x++, gradient += LANES, value += LANES) {
            const __m512 g = before_relu(it, gradient, value);
            sum = _mm512_add_ps(sum, g);
            product = _mm512_fmadd_ps(g, load(value), product);
        }
        const int block = (int)(line % it->blocks);
        sums[block] = _mm512_add_ps(sums[block], sum);
        products[block] = _mm512_add_ps(products[block], product);
    }
}

static void descend(const node *it, const __m512 *sums, const __m512 *products, double count, const descent *to) {
    for (int c = 0; c < it->channels; c++) {
        const double sum = ((const float *)sums)[c], deviation = it->deviation[c], mean = it->mean[c];
        const double along = deviation * (((const float *)products)[c] - mean * sum);
        const double slope = it->gamma[c] * deviation, bend = -slope * deviation * along / count;
        it->d_gamma[c] = (float)along;
        it->d_beta[c] = (float)sum;
        to->slope[c] = (float)slope;
        to->bend[c] = (float)bend;
        to->level[c] = (float)(-slope * sum / count - bend * mean);
    }
}

/* The same without a BatchNorm. */
static void descend_biases(const node *it, const __m512 *sums, const descent *to) {
    for (int c = 0; c < it->channels; c++) {
        it->d_beta[c] = ((const float *)sums)[c];
        to->slope[c] = 1.0f;
    }
}

/* What the pass back through a convolution of `n` images begins with: gradients of its channels' parameters, those of
   its weights still zero; and what `unnormalise` needs. */
static descent begin_descent(const workspace *on, const node *it, const node *from, int n) {
    __m512 sums[MAX_BLOCKS], products[MAX_BLOCKS];
    const long channels = (long)it->blocks * LANES;
    const descent by = {on->descents, on->descents + channels, on->descents + 2 * channels};
    sums_of_gradient(it, n, sums, products);
    memset(on->descents, 0, (size_t)(3 * channels) * sizeof(float));
    if (it->scale)
        descend(it, sums, products, (double)n * it->height * it->width, &by);
    else
        descend_biases(it, sums, &by);
    memset(it->d_weights, 0, (size_t)(it->kernel * it->kernel * from->blocks * from->block * channels) * sizeof(float));
    return by;
}

/* The gradient before the BatchNorm, or the last ReLU, of one image; `to` is the first pixel. */
static void unnormalise(const node *it, const descent *by, int number, bf16 *to, spread on) {
    const bf16 *gradient = it->gradient + number * image(it), *value = it->value + number * image(it);
    for (int line = 0; line < it->height * it->blocks; line++) {
        const int block = line % it->blocks, first = block * LANES;
        const __m512 slope = _mm512_loadu_ps(by->slope + first), bend = _mm512_loadu_ps(by->bend + first),
                     level = _mm512_loadu_ps(by->level + first);
        bf16 *at = to + offset_of(&on, it, line / it->blocks, block);
        for (int x = 0; x < it->width; x++, gradient += LANES, value += LANES, at += on.pixel)
            store(at, _mm512_fmadd_ps(slope, before_relu(it, gradient, value),
                                      _mm512_fmadd_ps(bend, load(value), level)));
    }
}

/* One position of one window of a pooling: which pixels it covers. */
INLINE const bf16 *corner(const node *of, const bf16 *base, const node *pool, int y, int block, int x) {
    return base + (long)y * pool->kernel * row(of) + block * run(of) + (long)x * pool->kernel * of->block;
}

static void pool(const node *it, const node *from, int number) {
    const int kernel = it->kernel, average = it->kind == AVERAGE;
    const __mmask16 lanes = lanes_of(it);
    const __m512 share = _mm512_set1_ps(1.0f / (float)(kernel * kernel));
    const bf16 *value = from->value + number * image(from);
    bf16 *to = it->value + number * image(it);
    for (int y = 0; y < it->height; y++)
        for (int block = 0; block < it->blocks; block++) {
            const affine by = affine_of(from, block);
            for (int x = 0; x < it->width; x++, to += it->block) {
                const bf16 *window = corner(from, value, it, y, block, x);
                __m512 result = apply(by, load_some(lanes, window));
                for (int t = 1; t < kernel * kernel; t++) {
                    const __m512 next =
                        apply(by, load_some(lanes, window + t / kernel * row(from) + t % kernel * from->block));
                    result = average ? _mm512_add_ps(result, next) : _mm512_max_ps(result, next);
                }
                store_some(lanes, to, average ? _mm512_mul_ps(result, share) : result);
            }
        }
}

/* Writes, or adds, what one window of a pooling gives back to the pixels that it covers; the first maximum wins. */
INLINE void unpool_window(const node *it, const node *from, affine by, long at, __m512 gradient, int adds) {
    const int kernel = it->kernel, n = kernel * kernel;
    const bf16 *value = from->value + at;
    __m512 best = _mm512_set1_ps(-INFINITY);
    __m512i where = _mm512_setzero_si512();
    if (it->kind == MAXIMUM)
        for (int t = 0; t < n; t++) {
            const __m512 next = apply(by, load(value + t / kernel * row(from) + t % kernel * LANES));
            const __mmask16 higher = _mm512_cmp_ps_mask(next, best, _CMP_GT_OQ);
            best = _mm512_mask_mov_ps(best, higher, next);
            where = _mm512_mask_mov_epi32(where, higher, _mm512_set1_epi32(t));
        }
    for (int t = 0; t < n; t++) {
        bf16 *to = from->gradient + at + t / kernel * row(from) + t % kernel * LANES;
        __m512 part = it->kind == MAXIMUM
                          ? _mm512_maskz_mov_ps(_mm512_cmpeq_epi32_mask(where, _mm512_set1_epi32(t)), gradient)
                          : gradient;
        if (adds) part = _mm512_add_ps(part, load(to));
        store(to, part);
    }
}

static void unpool(const node *it, const node *from, int n, int adds) {
    const int covered = it->height * it->kernel < from->height || it->width * it->kernel < from->width;
    if (!adds && covered) memset(from->gradient, 0, (size_t)(n * image(from)) * sizeof(bf16));
    const __m512 share = _mm512_set1_ps(it->kind == AVERAGE ? 1.0f / (float)(it->kernel * it->kernel) : 1.0f);
    const bf16 *gradient = it->gradient;
    for (int number = 0; number < n; number++)
        for (int y = 0; y < it->height; y++)
            for (int block = 0; block < it->blocks; block++) {
                const affine by = affine_of(from, block);
                const bf16 *window = corner(from, from->value + number * image(from), it, y, block, 0);
                for (int x = 0; x < it->width; x++, gradient += LANES, window += it->kernel * LANES)
                    unpool_window(it, from, by, window - from->value, _mm512_mul_ps(load(gradient), share), adds);
            }
}

#endif
