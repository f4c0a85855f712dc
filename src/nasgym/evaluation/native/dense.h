/* Dense layers as products of pairs; the gradient of the weights goes into Adam as it comes, and is kept nowhere.

   Weights are fp32, in tiles of 32 inputs and 32 outputs, and rounded as they are read: once for the scores, and once
   for the pass back, which then changes them in the same visit. Inputs and outputs beyond the real ones are zero. */
#ifndef NASGYM_DENSE_H
#define NASGYM_DENSE_H

#include <string.h>

#include "adam.h"
#include "tiles.h"

#define SIDE 32             /* of a tile */
#define TILE_SIZE (SIDE * SIDE)
#define TILES_AT_ONCE 8     /* of inputs, whose rounded weights for 32 outputs stay in the first-level cache */
#define ROWS_AT_ONCE 12     /* whose sums stay in registers */

/* One layer; mirrored in library.py. */
typedef struct {
    int32_t n_inputs, n_outputs;      /* up to whole tiles */
    float dropout;                    /* share of the inputs that a training leaves out */
    float *weights, *first, *second;  /* [tile of inputs][tile of outputs][input][output]; what Adam keeps of each */
    float *biases, *d_biases;         /* [output]; their gradient */
    bf16 *inputs;                     /* [image, up to 32][input], a tile to spare behind each image */
    float *sums;                      /* [image, up to 32][output]; on the way back their gradient */
} dense;

/* Where the pieces of work lie; mirrored in library.py. */
typedef struct {
    int32_t *panel;      /* pairs of inputs, for 32 outputs */
    int32_t *by_image;   /* gradient of the sums: [32 images][pair of outputs][image] */
    int32_t *by_output;  /* [32 outputs][pair of images][output] */
    bf16 *rounded;       /* 32 rows of weights, a tile to spare behind each */
    int32_t *crossed;    /* 32 inputs: [input][pair of images] */
    float *gradient;     /* of 32 inputs: [input][image] */
} workbench;

INLINE int up_to(int count, int whole) { return (count + whole - 1) / whole * whole; }
INLINE long input_row(const dense *it) { return it->n_inputs + SIDE; }

#ifdef TILES
/* Adds to rows of 32 sums, up to whole pairs of tiles, the products of `count` pairs of each with those of a panel. */
static void multiply_onto(int n, const int32_t *rows, long row, const int32_t *panel, int count, float *to,
                          long to_row) {
    for (int first = 0; first < n; first += SIDE) {
        const operands of = {(const bf16 *)(rows + first * row), 2 * row, 2 * ROWS * row, DEPTH,
                             (const bf16 *)panel, 2 * SIDE, 2 * LANES, 2 * RIGHT};
        load_sums(2, 2, to + first * to_row, to_row, ROWS * to_row);
        add_products(2, 2, &of, count / ROWS);
        store_sums(2, 2, to + first * to_row, to_row, ROWS * to_row);
    }
}

/* Changes 32 × 32 weights, whose gradient are such products. */
static void learn_from(const int32_t *rows, long row, const int32_t *panel, int count, const adam_lanes *by,
                       const dense *it, long at) {
    float sums[TILE_SIZE] __attribute__((aligned(64))) = {0};
    multiply_onto(SIDE, rows, row, panel, count, sums, SIDE);
    for (long i = 0; i < TILE_SIZE; i += LANES)
        descend_lanes(by, _mm512_load_ps(sums + i), it->weights + at + i, it->first + at + i, it->second + at + i);
}
#else
/* Adds to P rows of 32 sums the products of `count` pairs of each row with those of a panel. */
INLINE void multiply(const int P, const int32_t *rows, long row, const int32_t *panel, int count,
                     __m512 sums[ROWS_AT_ONCE][2]) {
    for (int pair = 0; pair < count; pair++, panel += 2 * LANES) {
        const __m512bh left = (__m512bh)_mm512_loadu_si512(panel), right = (__m512bh)_mm512_loadu_si512(panel + LANES);
#pragma GCC unroll 12
        for (int p = 0; p < P; p++) {
            const __m512bh one = (__m512bh)_mm512_set1_epi32(rows[p * row + pair]);
            sums[p][0] = _mm512_dpbf16_ps(sums[p][0], left, one);
            sums[p][1] = _mm512_dpbf16_ps(sums[p][1], right, one);
        }
    }
}

#define MULTIPLY(P)                                                                                                  \
    static void onto_##P(const int32_t *rows, long row, const int32_t *panel, int count, float *to, long to_row) {   \
        __m512 sums[ROWS_AT_ONCE][2];                                                                                \
        _Pragma("GCC unroll 12") for (int p = 0; p < P; p++) {                                                       \
            sums[p][0] = _mm512_loadu_ps(to + p * to_row);                                                           \
            sums[p][1] = _mm512_loadu_ps(to + p * to_row + LANES);                                                   \
        }                                                                                                            \
        multiply(P, rows, row, panel, count, sums);                                                                  \
        _Pragma("GCC unroll 12") for (int p = 0; p < P; p++) {                                                       \
            _mm512_storeu_ps(to + p * to_row, sums[p][0]);                                                           \
            _mm512_storeu_ps(to + p * to_row + LANES, sums[p][1]);                                                   \
        }                                                                                                            \
    }                                                                                                                \
    static void learn_##P(const int32_t *rows, long row, const int32_t *panel, int count, const adam_lanes *by,      \
                          const dense *it, long at) {                                                                \
        __m512 sums[ROWS_AT_ONCE][2];                                                                                \
        _Pragma("GCC unroll 12") for (int p = 0; p < P; p++) sums[p][0] = sums[p][1] = _mm512_setzero_ps();          \
        multiply(P, rows, row, panel, count, sums);                                                                  \
        _Pragma("GCC unroll 12") for (int p = 0; p < 2 * P; p++) {                                                   \
            const long one = at + p * LANES;                                                                         \
            descend_lanes(by, sums[p / 2][p % 2], it->weights + one, it->first + one, it->second + one);             \
        }                                                                                                            \
    }
MULTIPLY(1) MULTIPLY(2) MULTIPLY(3) MULTIPLY(4) MULTIPLY(5) MULTIPLY(6)
MULTIPLY(7) MULTIPLY(8) MULTIPLY(9) MULTIPLY(10) MULTIPLY(11) MULTIPLY(12)
#define ROWS(NAME)                                                                                                   \
    { NAME##1, NAME##2, NAME##3, NAME##4, NAME##5, NAME##6, NAME##7, NAME##8, NAME##9, NAME##10, NAME##11, NAME##12 }
static void (*const ONTO[])(const int32_t *, long, const int32_t *, int, float *, long) = ROWS(onto_);
static void (*const LEARN[])(const int32_t *, long, const int32_t *, int, const adam_lanes *, const dense *,
                             long) = ROWS(learn_);

/* Adds to `n` rows of 32 sums what `multiply` does, a few rows at a time. */
static void multiply_onto(int n, const int32_t *rows, long row, const int32_t *panel, int count, float *to,
                          long to_row) {
    const int parts = (n + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
    for (int part = 0, first = 0; part < parts; part++) {
        const int next = n * (part + 1) / parts;
        ONTO[next - first - 1](rows + first * row, row, panel, count, to + first * to_row, to_row);
        first = next;
    }
}

/* Changes 32 × 32 weights, whose gradient are such products, a few rows at a time. */
static void learn_from(const int32_t *rows, long row, const int32_t *panel, int count, const adam_lanes *by,
                       const dense *it, long at) {
    const int parts = (SIDE + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
    for (int part = 0, first = 0; part < parts; part++) {
        const int next = SIDE * (part + 1) / parts;
        LEARN[next - first - 1](rows + first * row, row, panel, count, by, it, at + first * SIDE);
        first = next;
    }
}
#endif

/* The sums of a layer, biases left out. */
static void sums_of(const workbench *on, const dense *it, int n) {
    const int across = it->n_outputs / SIDE, down = it->n_inputs / SIDE;
    memset(it->sums, 0, (size_t)up_to(n, SIDE) * (size_t)it->n_outputs * sizeof *it->sums);
    for (int start = 0; start < down; start += TILES_AT_ONCE) {
        const int stop = lesser(start + TILES_AT_ONCE, down);
        for (int column = 0; column < across; column++) {
            int32_t *to = on->panel;
            for (int tile = start; tile < stop; tile++) {
                const float *from = it->weights + ((long)tile * across + column) * TILE_SIZE;
                for (int i = 0; i < TILE_SIZE; i += 2 * SIDE, to += 2 * LANES)
                    for (int half = 0; half < SIDE; half += LANES)
                        _mm512_storeu_si512(to + half, pairs(narrow(_mm512_loadu_ps(from + i + half)),
                                                             narrow(_mm512_loadu_ps(from + i + SIDE + half))));
            }
            multiply_onto(n, (const int32_t *)(it->inputs + (long)start * SIDE), input_row(it) / 2, on->panel,
                          (stop - start) * LANES, it->sums + (long)column * SIDE, it->n_outputs);
        }
    }
}

/* 32 random bits for each of sixteen numbers from `first` on, from a key: two rounds of Wellons's lowbias32. */
INLINE __m512i scattered(__m512i numbers) {
    numbers = _mm512_xor_si512(numbers, _mm512_srli_epi32(numbers, 16));
    numbers = _mm512_mullo_epi32(numbers, _mm512_set1_epi32(0x7feb352d));
    numbers = _mm512_xor_si512(numbers, _mm512_srli_epi32(numbers, 15));
    numbers = _mm512_mullo_epi32(numbers, _mm512_set1_epi32((int)0x846ca68b));
    return _mm512_xor_si512(numbers, _mm512_srli_epi32(numbers, 16));
}
INLINE __m512i random_bits(uint64_t key, uint32_t first) {
    const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i numbers = _mm512_add_epi32(lanes, _mm512_set1_epi32((int)first));
    return scattered(_mm512_add_epi32(scattered(_mm512_xor_si512(numbers, _mm512_set1_epi32((int)key))),
                                      _mm512_set1_epi32((int)(key >> 32))));
}

/* What a layer hands to the next: biases, ReLU, dropout. */
static void activate(const dense *it, dense *next, int n, uint64_t key, int trains) {
    const float dropout = trains ? next->dropout : 0.0f;
    const __m512 scale = _mm512_set1_ps(1.0f / (1.0f - dropout)), zero = _mm512_setzero_ps();
    const __m512i limit = _mm512_set1_epi32((int)(uint32_t)((double)dropout * 4294967296.0));
    for (int number = 0; number < n; number++)
        for (int i = 0; i < it->n_outputs; i += LANES) {
            const long at = (long)number * it->n_outputs + i;
            const __m512 sum = _mm512_add_ps(_mm512_loadu_ps(it->sums + at), _mm512_loadu_ps(it->biases + i));
            __m512 result = _mm512_mul_ps(_mm512_max_ps(zero, sum), scale);
            if (dropout > 0.0f)
                result = _mm512_maskz_mov_ps(_mm512_cmpge_epu32_mask(random_bits(key, (uint32_t)at), limit), result);
            store(next->inputs + number * input_row(next) + i, result);
        }
}

/* The gradient of the sums as pairs, in the two orders in which it is multiplied; and that of the biases. */
static void pair_gradient(const workbench *on, const dense *it, int n) {
    const int width = it->n_outputs, pairs_of_images = up_to(n, SIDE) / 2;
    memset(it->d_biases, 0, (size_t)width * sizeof(float));
    memset(on->by_image, 0, (size_t)up_to(n, SIDE) * (size_t)width * sizeof(bf16));
    memset(on->by_output, 0, (size_t)up_to(n, SIDE) * (size_t)width * sizeof(bf16));
    for (int number = 0; number < n; number++) {
        const float *from = it->sums + (long)number * width, *next = from + width;
        int32_t *to = on->by_image + (long)(number / SIDE) * width / 2 * SIDE + number % SIDE;
        for (int i = 0; i < width; i += LANES) {
            const __m512 one = _mm512_loadu_ps(from + i);
            _mm512_storeu_ps(it->d_biases + i, _mm512_add_ps(_mm512_loadu_ps(it->d_biases + i), one));
            int32_t both[LANES / 2];
            _mm256_storeu_si256((__m256i *)both, narrow(one));
            for (int pair = 0; pair < LANES / 2; pair++) to[(long)(i / 2 + pair) * SIDE] = both[pair];
            if (number % 2) continue;
            const __m512 other = number + 1 < n ? _mm512_loadu_ps(next + i) : _mm512_setzero_ps();
            _mm512_storeu_si512(on->by_output + ((long)(i / SIDE) * pairs_of_images + number / 2) * SIDE + i % SIDE,
                                pairs(narrow(one), narrow(other)));
        }
    }
}

/* The gradient of 32 inputs, before anything changes. */
static void descend_tile(const workbench *on, const dense *it, int n, int tile) {
    const int width = it->n_outputs, images = up_to(n, SIDE);
    const float *from = it->weights + (long)tile * SIDE * width;
    for (int column = 0; column < width; column += SIDE)
        for (int row = 0; row < SIDE; row++, from += SIDE)
            for (int half = 0; half < SIDE; half += LANES)
                store(on->rounded + (long)row * (width + SIDE) + column + half, _mm512_loadu_ps(from + half));
    memset(on->gradient, 0, (size_t)(SIDE * images) * sizeof(float));
    for (int first = 0; first < images; first += SIDE)
        multiply_onto(SIDE, (const int32_t *)on->rounded, (width + SIDE) / 2, on->by_image + (long)first * width / 2,
                      width / 2, on->gradient + first, images);
}

/* Sixteen inputs of one image in what `descend_tile` found. */
INLINE __m512 gradient_at(const workbench *on, int n, int half, int number) {
    const __m512i lanes = _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                                             _mm512_set1_epi32(up_to(n, SIDE)));
    return _mm512_i32gather_ps(lanes, on->gradient + (long)half * up_to(n, SIDE) + number, 4);
}

/* Changes the weights of 32 inputs. */
static void learn_tile(const workbench *on, const dense *it, int n, int tile, const adam_lanes *by) {
    const int count = up_to(n, SIDE) / 2;
    for (int pair = 0; pair < count; pair++) {
        const bf16 *even = it->inputs + 2 * pair * input_row(it) + (long)tile * SIDE, *odd = even + input_row(it);
        const uint32_t has_even = 2 * pair < n, has_odd = 2 * pair + 1 < n;
        for (int i = 0; i < SIDE; i++)
            on->crossed[i * count + pair] =
                (int32_t)((has_even ? even[i] : 0u) | (has_odd ? (uint32_t)odd[i] << 16 : 0u));
    }
    for (int column = 0; column < it->n_outputs / SIDE; column++)
        learn_from(on->crossed, count, on->by_output + (long)column * count * SIDE, count, by, it,
                   ((long)tile * (it->n_outputs / SIDE) + column) * TILE_SIZE);
}

/* A hidden layer: from the gradient of its sums to that of the sums before it. */
static void descend_hidden(const workbench *on, dense *it, dense *before, int n, const adam_lanes *by) {
    const __m512 scale = _mm512_set1_ps(1.0f / (1.0f - it->dropout));
    pair_gradient(on, it, n);
    for (int tile = 0; tile < it->n_inputs / SIDE; tile++) {
        descend_tile(on, it, n, tile);
        for (int number = 0; number < n; number++)
            for (int half = 0; half < SIDE; half += LANES) {
                const long i = (long)tile * SIDE + half;
                const __mmask16 passes = _mm512_cmp_ps_mask(load(it->inputs + number * input_row(it) + i),
                                                            _mm512_setzero_ps(), _CMP_GT_OQ);
                _mm512_storeu_ps(before->sums + (long)number * it->n_inputs + i,
                                 _mm512_maskz_mul_ps(passes, gradient_at(on, n, half, number), scale));
            }
        learn_tile(on, it, n, tile, by);
    }
}

#endif
