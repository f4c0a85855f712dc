/* Convolutions of stride 1, as sums of dot products of pairs (vdpbf16ps).

   Input rows carry a margin of zeros on both sides, so that the columns and channels under one row of the kernel lie
   one after the other: a pixel's sum is one run over them for each row of the kernel and block of channels. Rows
   outside of the image are left out. The pass back to the input is the same convolution with other weights and with
   the margin that makes up for the first. */
#ifndef NASGYM_DOT_PRODUCTS_H
#define NASGYM_DOT_PRODUCTS_H

#include "passes.h"

/* One convolution over one image, whichever way it goes. */
typedef struct {
    const bf16 *input, *weights;
    int height, width, kernel, margin; /* height and width: of the input, without the margin */
    int block, blocks, outputs;        /* block and blocks: of the input; outputs: blocks of the output */
} convolution;

INLINE int height_of(const convolution *it) { return it->height + 2 * it->margin - it->kernel + 1; }
INLINE int width_of(const convolution *it) { return it->width + 2 * it->margin - it->kernel + 1; }

/* What becomes of the sums. */
typedef struct {
    bf16 *to;             /* [row][block][column][16] */
    const bf16 *above;    /* the input of the convolution, where a ReLU stops what is not above 0; or null */
    int adds, margin;     /* adds: onto what is there; margin: of `above` */
    const float *biases;  /* added before a last ReLU; or null */
    __m512 *sum, *square; /* over all pixels, for each block; or null */
} sink;

/* Elements of one row of one block of an input whose output is `width` wide, margins included. */
INLINE long padded_run(int width, int kernel, int block) { return (long)(width + kernel - 1) * block; }

/* Sums for P pixels side by side and Q blocks of outputs. */
INLINE void dot_products(const int P, const int Q, const int S, const convolution *it, int y, int x, int group,
                         __m512 sums[16][4]) {
    const int kernel = it->kernel, margin = it->margin, half = S / 2;
    const int from = y < margin ? margin - y : 0, to = lesser(kernel, it->height - y + margin);
    const int left = x + P - 1 < margin ? margin - (x + P - 1) : 0, right = lesser(kernel, it->width - x + margin);
    const long padded = (long)(it->width + 2 * margin) * S, one_row = (long)kernel * half * Q * 2 * LANES;
#pragma GCC unroll 16
    for (int p = 0; p < P; p++)
#pragma GCC unroll 4
        for (int q = 0; q < Q; q++) sums[p][q] = _mm512_setzero_ps();
    for (int k = from; k < to; k++)
        for (int block = 0; block < it->blocks; block++) {
            const bf16 *line = it->input + ((long)(y + k - margin) * it->blocks + block) * padded + (long)x * S;
            const int32_t *pixels = (const int32_t *)line + left * half;
            const bf16 *weights = it->weights + (((long)group * kernel + k) * it->blocks + block) * one_row +
                                  (long)left * half * Q * 2 * LANES;
            for (int pair = left * half; pair < right * half; pair++, pixels++, weights += Q * 2 * LANES) {
                __m512bh w[4];
#pragma GCC unroll 4
                for (int q = 0; q < Q; q++) w[q] = (__m512bh)_mm512_loadu_si512(weights + q * 2 * LANES);
#pragma GCC unroll 16
                for (int p = 0; p < P; p++) {
                    const __m512bh pixel = (__m512bh)_mm512_set1_epi32(pixels[p * half]);
#pragma GCC unroll 4
                    for (int q = 0; q < Q; q++) sums[p][q] = _mm512_dpbf16_ps(sums[p][q], w[q], pixel);
                }
            }
        }
}

INLINE void keep(const int P, const int Q, const convolution *it, const sink *kept, int y, int x, int group,
                 __m512 sums[16][4]) {
#pragma GCC unroll 4
    for (int q = 0; q < Q; q++) {
        const int block = group * Q + q;
        bf16 *to = kept->to + (((long)y * it->outputs + block) * width_of(it) + x) * LANES;
        const long padded = (long)(width_of(it) + 2 * kept->margin) * LANES;
        const bf16 *above = kept->above + ((long)y * it->outputs + block) * padded + (long)(x + kept->margin) * LANES;
        __m512 sum = _mm512_setzero_ps(), square = _mm512_setzero_ps();
#pragma GCC unroll 16
        for (int p = 0; p < P; p++, to += LANES) {
            __m512 result = sums[p][q];
            if (kept->above) {
                const __m256i bits = _mm256_loadu_si256((const __m256i *)(above + p * LANES));
                result = _mm512_maskz_mov_ps(_mm256_test_epi16_mask(bits, bits), result);
            }
            if (kept->adds) result = _mm512_add_ps(result, load(to));
            if (kept->biases)
                result = _mm512_max_ps(_mm512_setzero_ps(),
                                       _mm512_add_ps(result, _mm512_loadu_ps(kept->biases + block * LANES)));
            store(to, result);
            sum = _mm512_add_ps(sum, result);
            square = _mm512_fmadd_ps(result, result, square);
        }
        if (kept->sum) {
            kept->sum[block] = _mm512_add_ps(kept->sum[block], sum);
            kept->square[block] = _mm512_add_ps(kept->square[block], square);
        }
    }
}

#define TILE(P, Q, S)                                                                                         \
    static void tile_##P##_##Q##_##S(const convolution *it, const sink *kept, int y, int x, int group) {      \
        __m512 sums[16][4];                                                                                  \
        dot_products(P, Q, S, it, y, x, group, sums);                                                         \
        keep(P, Q, it, kept, y, x, group, sums);                                                              \
    }
#define UP_TO_6(Q, S) TILE(1, Q, S) TILE(2, Q, S) TILE(3, Q, S) TILE(4, Q, S) TILE(5, Q, S) TILE(6, Q, S)
#define UP_TO_12(Q, S) \
    UP_TO_6(Q, S) TILE(7, Q, S) TILE(8, Q, S) TILE(9, Q, S) TILE(10, Q, S) TILE(11, Q, S) TILE(12, Q, S)
#define UP_TO_16(Q, S) UP_TO_12(Q, S) TILE(13, Q, S) TILE(14, Q, S) TILE(15, Q, S) TILE(16, Q, S)
UP_TO_16(1, 16) UP_TO_16(1, 4) UP_TO_12(2, 16) UP_TO_6(4, 16)

typedef void (*tile)(const convolution *, const sink *, int, int, int);
#define NAME(P, Q, S) tile_##P##_##Q##_##S
#define NAMES_6(Q, S) NAME(1, Q, S), NAME(2, Q, S), NAME(3, Q, S), NAME(4, Q, S), NAME(5, Q, S), NAME(6, Q, S)
#define NAMES_12(Q, S) \
    NAMES_6(Q, S), NAME(7, Q, S), NAME(8, Q, S), NAME(9, Q, S), NAME(10, Q, S), NAME(11, Q, S), NAME(12, Q, S)
#define NAMES_16(Q, S) NAMES_12(Q, S), NAME(13, Q, S), NAME(14, Q, S), NAME(15, Q, S), NAME(16, Q, S)
static const tile ONE[] = {NAMES_16(1, 16)}, ONE_OF_IMAGE[] = {NAMES_16(1, 4)}, TWO[] = {NAMES_12(2, 16)},
                  FOUR[] = {NAMES_6(4, 16)};

/* Blocks of outputs computed together: many where rows are short, so that enough sums are under way. */
INLINE int together(int width, int block, int outputs) {
    if (block != LANES || outputs % 2) return 1;
    return outputs % 4 == 0 && width <= 6 ? 4 : 2;
}

static void convolve(const convolution *it, const sink *kept, int group) {
    const int width = width_of(it), height = height_of(it), q = together(width, it->block, it->outputs);
    const tile *tiles = q == 4 ? FOUR : q == 2 ? TWO : it->block == LANES ? ONE : ONE_OF_IMAGE;
    const int widest = q == 4 ? 6 : q == 2 ? 12 : 16, count = (width + widest - 1) / widest;
    for (int y = 0; y < height; y++)
        for (int number = 0, x = 0; number < count; number++) {
            const int next = (int)((long)width * (number + 1) / count);
            tiles[next - x - 1](it, kept, y, x, group);
            x = next;
        }
}

/* The weights' gradient: sums over pairs of neighbouring pixels. */

/* [row][block][column][channel] as pairs of each column with the next. */
static void pair_columns(const bf16 *from, int32_t *to, long columns, int block) {
    if (block == LANES)
        for (long x = 0; x < columns; x++)
            _mm512_storeu_si512(to + x * LANES, pairs(_mm256_loadu_si256((const __m256i *)(from + x * LANES)),
                                                      _mm256_loadu_si256((const __m256i *)(from + (x + 1) * LANES))));
    else
        for (long x = 0; x < columns * block; x++) to[x] = (int32_t)(from[x] | (uint32_t)from[x + block] << 16);
}

/* Adds to I rows of Q·16 gradients the sums over `images` times `rows` rows of `count` pairs of pixels. */
INLINE void outer_products(const int I, const int Q, const int32_t *inputs, long input_row, long input_image, int step,
                           const int32_t *outputs, long output_row, long output_image, long output_block, int images,
                           int rows, int count, float *to, long to_row) {
    __m512 sums[20][2];
#pragma GCC unroll 20
    for (int i = 0; i < I; i++)
#pragma GCC unroll 2
        for (int q = 0; q < Q; q++) sums[i][q] = _mm512_loadu_ps(to + i * to_row + q * LANES);
    for (int line = 0; line < images * rows; line++) {
        const int32_t *in = inputs + line / rows * input_image + line % rows * input_row;
        const int32_t *out = outputs + line / rows * output_image + line % rows * output_row;
        for (int x = 0; x < count; x++, in += 2 * step, out += LANES) {
            __m512bh w[4];
#pragma GCC unroll 2
            for (int q = 0; q < Q; q++) w[q] = (__m512bh)_mm512_loadu_si512(out + q * output_block);
#pragma GCC unroll 20
            for (int i = 0; i < I; i++) {
                const __m512bh pixel = (__m512bh)_mm512_set1_epi32(in[i]);
#pragma GCC unroll 2
                for (int q = 0; q < Q; q++) sums[i][q] = _mm512_dpbf16_ps(sums[i][q], w[q], pixel);
            }
        }
    }
#pragma GCC unroll 20
    for (int i = 0; i < I; i++)
#pragma GCC unroll 2
        for (int q = 0; q < Q; q++) _mm512_storeu_ps(to + i * to_row + q * LANES, sums[i][q]);
}

#define OUTER(I, Q)                                                                                                \
    static void outer_##I##_##Q(const int32_t *in, long in_row, long in_image, int step, const int32_t *out,       \
                                long out_row, long out_image, long out_block, int images, int rows, int count,     \
                                float *to, long to_row) {                                                          \
        outer_products(I, Q, in, in_row, in_image, step, out, out_row, out_image, out_block, images, rows, count,  \
                       to, to_row);                                                                                \
    }
OUTER(4, 1) OUTER(12, 1) OUTER(16, 1) OUTER(20, 1) OUTER(4, 2) OUTER(8, 2) OUTER(10, 2) OUTER(12, 2)
typedef void (*outer)(const int32_t *, long, long, int, const int32_t *, long, long, long, int, int, int, float *,
                      long);
typedef struct { int rows; outer sums; } outer_choice;

/* The largest tile that divides the `range` of channels and columns under one row of the kernel. */
static outer_choice outer_for(int range, int q) {
    static const outer_choice ONES[] = {{20, outer_20_1}, {16, outer_16_1}, {12, outer_12_1}, {4, outer_4_1}};
    static const outer_choice TWOS[] = {{12, outer_12_2}, {10, outer_10_2}, {8, outer_8_2}, {4, outer_4_2}};
    const outer_choice *choice = q == 2 ? TWOS : ONES;
    while (range % choice->rows) choice++;
    return *choice;
}

#endif
