/* Convolutions of a whole network, forward and back, by dot products of pairs. */
#ifndef NASGYM_CONVOLUTION_H
#define NASGYM_CONVOLUTION_H

#include "dot_products.h"

#define PIXELS_AT_ONCE 2048 /* of a feature map, so that what is unrolled, convolved and summed stays in the cache */

/* Where the input of a convolution lies, and the gradient of its output, one image after the other. */
static spread spread_of(const node *of, int width, int kernel) {
    const long padded = padded_run(width, kernel, of->block);
    return (spread){padded * of->blocks, padded, of->block};
}

static int images_at_once(const node *it, int n) {
    const int count = PIXELS_AT_ONCE / (it->height * it->width);
    return count < 1 ? 1 : lesser(count, n);
}
static convolution convolution_of(const node *it, const node *from, const bf16 *input, const bf16 *weights) {
    return (convolution){input,        weights,     from->height, from->width, it->kernel,
                         it->margin, from->block, from->blocks, it->blocks};
}
static long input_image(const node *it, const node *from) {
    return (long)from->height * from->blocks * padded_run(it->width, it->kernel, from->block);
}

/* Weights in bf16, and in the order in which both directions read them. */
static void arrange(const workspace *on, const node *it, const node *from) {
    (void)on;
    const int rows = it->kernel * from->blocks * it->kernel * from->block;
    const int q = together(it->width, from->block, it->blocks);
    const long width = (long)it->blocks * LANES, line = (long)it->kernel * from->block;
    for (long i = 0; i < rows * width; i += LANES) store(it->rounded + i, _mm512_loadu_ps(it->weights + i));
    bf16 *to = it->forward;
    for (int group = 0; group < it->blocks / q; group++)
        for (int r = 0; r < rows; r += 2)
            for (int number = group * q; number < group * q + q; number++, to += 2 * LANES) {
                const bf16 *at = it->rounded + r * width + number * LANES;
                _mm512_storeu_si512(to, pairs(_mm256_loadu_si256((const __m256i *)at),
                                              _mm256_loadu_si256((const __m256i *)(at + width))));
            }
    if (!from->learns) return;
    const int k = it->kernel, back = together(from->width, LANES, from->blocks);
    const __m512i lanes = _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                                             _mm512_set1_epi32((int)width));
    to = it->backward;
    for (int group = 0; group < from->blocks / back; group++)
        for (int y = k - 1; y >= 0; y--)
            for (int block = 0; block < it->blocks; block++)
                for (int x = k - 1; x >= 0; x--)
                    for (int pair = 0; pair < LANES; pair += 2)
                        for (int b = group * back; b < group * back + back; b++, to += 2 * LANES) {
                            const bf16 *at = it->rounded + ((long)(y * from->blocks + b) * line + x * LANES) * width +
                                             block * LANES + pair;
                            _mm512_storeu_si512(to, _mm512_i32gather_epi32(lanes, at, 2));
                        }
}

static void forward_convolution(const workspace *on, node *it, const node *from, int n, int trains) {
    (void)on;
    const int normalises = it->scale != 0;
    __m512 sums[MAX_BLOCKS], squares[MAX_BLOCKS];
    for (int block = 0; block < it->blocks; block++) sums[block] = squares[block] = _mm512_setzero_ps();
    const int groups = it->blocks / together(it->width, from->block, it->blocks), count = images_at_once(it, n);
    const long size = input_image(it, from);
    const spread by = spread_of(from, it->width, it->kernel);
    for (int start = 0; start < n; start += count) {
        const int stop = lesser(start + count, n);
        for (int number = start; number < stop; number++)
            surround(from, from->value + number * image(from), it->input + number * size + it->margin * from->block, by,
                     it->relu);
        for (int group = 0; group < groups; group++)
            for (int number = start; number < stop; number++) {
                const convolution one = convolution_of(it, from, it->input + number * size, it->forward);
                const sink kept = {.to = it->value + number * image(it),
                                   .biases = normalises ? 0 : it->beta,
                                   .sum = trains && normalises ? sums : 0,
                                   .square = squares};
                convolve(&one, &kept, group);
            }
    }
    if (normalises && trains)
        normalise(it, sums, squares, (double)n * it->height * it->width);
    else if (normalises)
        normalise_by_running(it);
}

/* Adds to the gradient of the weights what rows `top … bottom` of `count` images say. */
static void weigh(const workspace *on, const node *it, const node *from, int first, int count, int top, int bottom) {
    const int k = it->kernel, r = it->margin, above = top < r ? 0 : top - r;
    const int below = lesser(bottom + k - 1 - r, from->height), columns = (it->width + 1) / 2;
    const int q = it->blocks % 2 ? 1 : 2;
    const long padded = padded_run(it->width, k, from->block), in_row = padded * from->blocks;
    const long in_image = (below - above) * in_row, out_block = (long)columns * LANES;
    const long out_row = out_block * it->blocks, out_image = (bottom - top) * out_row;
    const long d_run = padded_run(from->width, k, LANES), width = (long)it->blocks * LANES;
    for (int number = 0; number < count; number++) {
        const long image = first + number;
        pair_columns(it->input + image * input_image(it, from) + above * in_row, on->inputs + number * in_image,
                     in_image / from->block, from->block);
        const bf16 *d = it->output + (image * it->height + top) * it->blocks * d_run + margin_back(it) * LANES;
        int32_t *to = on->outputs + number * out_image;
        for (int line = 0; line < (bottom - top) * it->blocks; line++, d += d_run)
            for (int x = 0; x < it->width; x += 2, to += LANES) {
                const __m256i *at = (const __m256i *)(d + x * LANES);
                const __m256i next = x + 1 < it->width ? _mm256_loadu_si256(at + 1) : _mm256_setzero_si256();
                _mm512_storeu_si512(to, pairs(_mm256_loadu_si256(at), next));
            }
    }
    const int range = k * from->block;
    const outer_choice by = outer_for(range, q);
    for (int y = 0; y < k; y++) {
        const int start = top + y < r ? r - y : top, stop = lesser(bottom, from->height + r - y);
        if (start >= stop) continue;
        for (int b = 0; b < from->blocks; b++)
            for (int group = 0; group < it->blocks / q; group++)
                for (int i = 0; i < range; i += by.rows)
                    by.sums(on->inputs + (start + y - r - above) * in_row + b * padded + i, in_row, in_image,
                            from->block, on->outputs + (start - top) * out_row + group * q * out_block, out_row,
                            out_image, out_block, count, stop - start, columns,
                            it->d_weights + ((long)(y * from->blocks + b) * range + i) * width + group * q * LANES,
                            width);
    }
}

static void backward_convolution(const workspace *on, const node *it, const node *from, int n, int adds) {
    const descent by = begin_descent(on, it, from, n);
    const int count = images_at_once(it, n);
    const int groups = from->learns ? from->blocks / together(from->width, LANES, from->blocks) : 0;
    const spread out = spread_of(it, from->width, it->kernel);
    const long out_image = it->height * out.row;
    const int rows = lesser(it->height, PAIRS_AT_ONCE / ((it->width + 1) / 2) + 1);
    const int images = rows < it->height ? 1 : PAIRS_AT_ONCE / (it->height * ((it->width + 1) / 2)) + 1;
    for (int start = 0; start < n; start += count) {
        const int stop = lesser(start + count, n);
        for (int number = start; number < stop; number++)
            unnormalise(it, &by, number, it->output + number * out_image + margin_back(it) * LANES, out);
        for (int group = 0; group < groups; group++)
            for (int number = start; number < stop; number++) {
                const convolution one = {it->output + number * out_image, it->backward, it->height, it->width,
                                         it->kernel, margin_back(it), LANES, it->blocks, from->blocks};
                const sink kept = {.to = from->gradient + number * image(from),
                                   .above = it->relu ? it->input + number * input_image(it, from) : 0,
                                   .adds = adds,
                                   .margin = it->margin};
                convolve(&one, &kept, group);
            }
        for (int number = start; number < stop; number += images)
            for (int top = 0; top < it->height; top += rows)
                weigh(on, it, from, number, lesser(images, stop - number), top, lesser(top + rows, it->height));
    }
}

#endif
