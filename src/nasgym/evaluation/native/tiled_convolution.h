/* Convolutions of a whole network, forward and back, as products of tiles.

   A feature map lies on a grid, image after image; before each image's own pixels there are rows and columns of zeros,
   which serve as those behind the image, or the row, before them, too. A window's pixels are then the same distances
   from its first one everywhere, so that the windows of sixteen pixels one after the other are the rows of one tile,
   across rows and images. What begins where the output has no pixel is computed, and not kept. */
#ifndef NASGYM_TILED_CONVOLUTION_H
#define NASGYM_TILED_CONVOLUTION_H

#include <string.h>

#include "passes.h"
#include "tiles.h"

#define PIXELS_AT_ONCE 2048 /* of a grid, so that what is laid out, convolved and summed stays in the cache */
#define STRIP 128           /* pixels whose sums are kept before they become outputs */
#define CHUNK 256           /* pixels whose products are summed before the gradient of other weights */
#define SPARE 96            /* pixels behind a grid that may be read, beyond those of one window */

typedef struct {
    int across, down;  /* pixels of one image */
    int lanes, blocks; /* channels of a pixel that lie side by side, and such blocks */
    int first;         /* rows and columns of zeros before an image's own */
    long plane;        /* numbers of one block of channels */
} grid;

static grid grid_of(const workspace *on, const node *of, int margin, int kernel) {
    grid it = {.across = of->width + margin, .down = of->height + margin, .first = margin};
    it.lanes = of->block < LANES || of->blocks % 2 ? of->block : 2 * LANES;
    it.blocks = of->blocks * of->block / it.lanes;
    it.plane = (on->capacity * it.across * it.down + (long)kernel * (it.across + 1) + SPARE) * it.lanes;
    return it;
}
static grid input_grid(const workspace *on, const node *it, const node *from) {
    return grid_of(on, from, it->margin, it->kernel);
}
static grid output_grid(const workspace *on, const node *it) { return grid_of(on, it, margin_back(it), it->kernel); }

static long pixels_of(const grid *it) { return (long)it->across * it->down; }
static spread spread_of(const grid *it) { return (spread){(long)it->across * it->lanes, it->plane, it->lanes}; }
static long first_pixel(const grid *it, int image) {
    return (image * pixels_of(it) + (long)it->first * (it->across + 1)) * it->lanes;
}
static int images_at_once(const grid *it, int n) {
    const long count = PIXELS_AT_ONCE / pixels_of(it);
    return count < 1 ? 1 : lesser((int)count, n);
}

/* Products for one row of a window. */
INLINE int steps_of(int kernel, int lanes) { return (kernel * lanes + DEPTH - 1) / DEPTH; }
/* Blocks of outputs computed together. */
INLINE int together(int outputs) { return outputs % 2 ? 1 : 2; }

/* Weights in bf16, and as tiles for both directions: [group of outputs][row of kernel][block of inputs][step][output]. */
static void arrange(const workspace *on, const node *it, const node *from) {
    const int k = it->kernel, rows = k * from->blocks * k * from->block;
    const long width = (long)it->blocks * LANES, line = (long)k * from->block;
    for (long i = 0; i < rows * width; i += LANES) store(it->rounded + i, _mm512_loadu_ps(it->weights + i));
    const grid in = input_grid(on, it, from), out = output_grid(on, it);
    const int n = together(it->blocks), steps = steps_of(k, in.lanes);
    bf16 *to = it->forward;
    for (int group = 0; group < it->blocks; group += n)
        for (int y = 0; y < k; y++)
            for (int block = 0; block < in.blocks; block++)
                for (int step = 0; step < steps; step++)
                    for (int output = group; output < group + n; output++)
                        for (int pair = 0; pair < ROWS; pair++, to += 2 * LANES) {
                            const int at = step * DEPTH + 2 * pair, x = at / in.lanes;
                            if (x >= k) continue;
                            const int channel = block * in.lanes + at % in.lanes;
                            const bf16 *row = it->rounded + ((long)(y * from->blocks + channel / from->block) * line +
                                                             x * from->block + channel % from->block) * width +
                                              output * LANES;
                            _mm512_storeu_si512(to, pairs(_mm256_loadu_si256((const __m256i *)row),
                                                          _mm256_loadu_si256((const __m256i *)(row + width))));
                        }
    if (!from->learns) return;
    const int m = together(from->blocks), back = steps_of(k, out.lanes);
    const __m512i lanes = _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                                             _mm512_set1_epi32((int)width));
    to = it->backward;
    for (int group = 0; group < from->blocks; group += m)
        for (int y = k - 1; y >= 0; y--)
            for (int block = 0; block < out.blocks; block++)
                for (int step = 0; step < back; step++)
                    for (int output = group; output < group + m; output++)
                        for (int pair = 0; pair < ROWS; pair++, to += 2 * LANES) {
                            const int at = step * DEPTH + 2 * pair, x = k - 1 - at / out.lanes;
                            if (x < 0) continue;
                            const bf16 *row = it->rounded + ((long)(y * from->blocks + output) * line + x * LANES) * width +
                                              block * out.lanes + at % out.lanes;
                            _mm512_storeu_si512(to, _mm512_i32gather_epi32(lanes, row, 2));
                        }
}

/* What becomes of the sums of a convolution. */
typedef struct {
    const node *of;       /* whose map is written, [image][row][block][column][16] */
    bf16 *to;
    const bf16 *above;    /* the input of the convolution, where a ReLU stops what is not above 0; or null */
    const grid *on;       /* where that lies */
    int adds;             /* onto what is there */
    const float *biases;  /* added before a last ReLU; or null */
    __m512 *sum, *square; /* over all pixels, for each block; or null */
} sink;

/* Makes outputs of the sums of pixels `first … last` of a grid, for N blocks. */
INLINE void keep(const int N, const sink *kept, const grid *on, const float *sums, long first, long last, int group) {
    const node *of = kept->of;
    for (int n = 0; n < N; n++) {
        const int block = group + n;
        const __m512 bias = kept->biases ? _mm512_loadu_ps(kept->biases + block * LANES) : _mm512_setzero_ps();
        __m512 sum = _mm512_setzero_ps(), square = _mm512_setzero_ps();
        for (long at = first, next; at < last; at = next) {
            const long line = at / on->across, number = line / on->down;
            const int y = (int)(line % on->down), x = (int)(at % on->across);
            next = (line + 1) * on->across;
            if (y >= of->height) continue;
            const int stop = (int)(x + last - at < of->width ? x + last - at : of->width);
            const float *from = sums + (at - first) * N * LANES + n * LANES;
            bf16 *to = kept->to + number * image(of) + y * row(of) + block * run(of) + (long)x * LANES;
            const bf16 *above = 0;
            if (kept->above) {
                const spread by = spread_of(kept->on);
                above = kept->above + first_pixel(kept->on, (int)number) + offset_of(&by, of, y, block) + (long)x * by.pixel;
            }
            for (int pixel = x; pixel < stop; pixel++, from += N * LANES, to += LANES) {
                __m512 result = _mm512_loadu_ps(from);
                if (kept->above) {
                    const __m256i bits = _mm256_loadu_si256((const __m256i *)above);
                    result = _mm512_maskz_mov_ps(_mm256_test_epi16_mask(bits, bits), result);
                    above += kept->on->lanes;
                }
                if (kept->adds) result = _mm512_add_ps(result, load(to));
                if (kept->biases) result = _mm512_max_ps(_mm512_setzero_ps(), _mm512_add_ps(result, bias));
                store(to, result);
                sum = _mm512_add_ps(sum, result);
                square = _mm512_fmadd_ps(result, result, square);
            }
        }
        if (kept->sum) {
            kept->sum[block] = _mm512_add_ps(kept->sum[block], sum);
            kept->square[block] = _mm512_add_ps(kept->square[block], square);
        }
    }
}

/* The sums of 16·M pixels from `input` on, for N blocks of outputs. */
INLINE void windows(const int M, const int N, const grid *on, int kernel, const bf16 *input, const bf16 *weights,
                    float *to) {
    const int steps = steps_of(kernel, on->lanes);
    operands of = {0, on->lanes, (long)ROWS * on->lanes, DEPTH, weights, 2 * LANES, RIGHT, (long)N * RIGHT};
    clear_sums();
    for (int y = 0; y < kernel; y++)
        for (int block = 0; block < on->blocks; block++, of.right += (long)steps * N * RIGHT) {
            of.left = input + block * on->plane + (long)y * on->across * on->lanes;
            add_products(M, N, &of, steps);
        }
    store_sums(M, N, to, N * LANES, (long)ROWS * N * LANES);
}

INLINE void convolve_strip(const int N, const grid *on, int kernel, const bf16 *input, const bf16 *weights,
                           const sink *kept, long first, long last, int group) {
    float sums[STRIP * 2 * LANES] __attribute__((aligned(64)));
    const int tiles = (int)(last - first + ROWS - 1) / ROWS;
    input += first * on->lanes;
    for (int tile = 0; tile < tiles;) {
        const bf16 *from = input + (long)tile * ROWS * on->lanes;
        float *to = sums + (long)tile * ROWS * N * LANES;
        const int left = tiles - tile;
        if (N == 1 && left >= 4) {
            windows(4, N, on, kernel, from, weights, to);
            tile += 4;
        } else if (left >= 2) {
            windows(2, N, on, kernel, from, weights, to);
            tile += 2;
        } else {
            windows(1, N, on, kernel, from, weights, to);
            tile += 1;
        }
    }
    keep(N, kept, on, sums, first, last, group);
}
static void convolve_strip_1(const grid *on, int kernel, const bf16 *input, const bf16 *weights, const sink *kept,
                             long first, long last, int group) {
    convolve_strip(1, on, kernel, input, weights, kept, first, last, group);
}
static void convolve_strip_2(const grid *on, int kernel, const bf16 *input, const bf16 *weights, const sink *kept,
                             long first, long last, int group) {
    convolve_strip(2, on, kernel, input, weights, kept, first, last, group);
}

/* Convolves images `start … stop` on a grid. */
static void convolve(const grid *on, int kernel, const bf16 *input, const bf16 *weights, const sink *kept, int start,
                     int stop) {
    const node *of = kept->of;
    const int n = together(of->blocks);
    const long whole = pixels_of(on), own = (long)(of->height - 1) * on->across + of->width;
    const int apart = (own + ROWS - 1) / ROWS * ROWS <= whole; /* fewer tiles if each image begins one of its own */
    for (int group = 0; group < of->blocks; group += n) {
        for (int number = start; number < stop; number += apart ? 1 : stop - start) {
            const long end = apart ? number * whole + own : stop * whole;
            for (long first = number * whole; first < end; first += STRIP)
                (n == 1 ? convolve_strip_1 : convolve_strip_2)(on, kernel, input, weights, kept, first,
                                                               first + STRIP < end ? first + STRIP : end, group);
        }
        weights += (long)kernel * on->blocks * steps_of(kernel, on->lanes) * n * RIGHT;
    }
}

static void forward_convolution(const workspace *on, node *it, const node *from, int n, int trains) {
    const int normalises = it->scale != 0;
    __m512 sums[MAX_BLOCKS], squares[MAX_BLOCKS];
    for (int block = 0; block < it->blocks; block++) sums[block] = squares[block] = _mm512_setzero_ps();
    const grid in = input_grid(on, it, from);
    const sink kept = {.of = it,
                       .to = it->value,
                       .biases = normalises ? 0 : it->beta,
                       .sum = trains && normalises ? sums : 0,
                       .square = squares};
    const int count = images_at_once(&in, n);
    for (int start = 0; start < n; start += count) {
        const int stop = lesser(start + count, n);
        for (int number = start; number < stop; number++)
            surround(from, from->value + number * image(from), it->input + first_pixel(&in, number), spread_of(&in),
                     it->relu);
        convolve(&in, it->kernel, it->input, it->forward, &kept, start, stop);
    }
    if (normalises && trains)
        normalise(it, sums, squares, (double)n * it->height * it->width);
    else if (normalises)
        normalise_by_running(it);
}

/* Sixteen rows of sixteen pairs → sixteen columns. */
INLINE void transpose(__m512i rows[LANES]) {
    __m512i half[LANES];
    for (int i = 0; i < LANES; i += 2) {
        half[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
        half[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < LANES; i += 4)
        for (int j = 0; j < 2; j++) {
            rows[i + 2 * j] = _mm512_unpacklo_epi64(half[i + j], half[i + j + 2]);
            rows[i + 2 * j + 1] = _mm512_unpackhi_epi64(half[i + j], half[i + j + 2]);
        }
    for (int i = 0; i < LANES; i += 8)
        for (int j = 0; j < 4; j++) {
            half[i + j] = _mm512_shuffle_i32x4(rows[i + j], rows[i + j + 4], 0x88);
            half[i + j + 4] = _mm512_shuffle_i32x4(rows[i + j], rows[i + j + 4], 0xDD);
        }
    for (int j = 0; j < 8; j++) {
        rows[j] = _mm512_shuffle_i32x4(half[j], half[j + 8], 0x88);
        rows[j + 8] = _mm512_shuffle_i32x4(half[j], half[j + 8], 0xDD);
    }
}

/* Pixels side by side for the gradient of weights: rows of the left of its products, `stride` numbers each. */
typedef struct {
    bf16 *to;
    long stride, pixels; /* pixels: of a row */
} rows_of_pixels;

/* One row for each channel: pixels from `first` on. */
static void lay_channels(const grid *in, const bf16 *input, long first, const rows_of_pixels *by) {
    for (int block = 0; block < in->blocks * in->lanes / LANES; block++) {
        const bf16 *from = input + block * LANES / in->lanes * in->plane + block * LANES % in->lanes;
        bf16 *to = by->to + block * LANES * by->stride;
        for (long x = 0; x < by->pixels; x += DEPTH) {
            __m512i rows[LANES];
            for (int i = 0; i < LANES; i++) {
                const long pixel = first + x + 2 * i;
                const __m256i *at = (const __m256i *)(from + pixel * in->lanes);
                const __m256i *next = (const __m256i *)(from + (pixel + 1) * in->lanes);
                rows[i] = pairs(pixel < 0 ? _mm256_setzero_si256() : _mm256_loadu_si256(at),
                                pixel + 1 < 0 ? _mm256_setzero_si256() : _mm256_loadu_si256(next));
            }
            transpose(rows);
            for (int i = 0; i < LANES; i++) _mm512_storeu_si512(to + i * by->stride + x, rows[i]);
        }
    }
}

/* One row for each column of the kernel and channel of a raw image: its pixels, as many later as the column says. */
static void lay_columns(const grid *in, const bf16 *input, long first, const rows_of_pixels *by, int kernel) {
    const __m512i every = _mm512_set_epi16(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60, 56, 52, 48, 44, 40, 36, 32,
                                           28, 24, 20, 16, 12, 8, 4, 0);
    for (long x = 0; x < by->pixels + LANES; x += LANES) {
        const bf16 *at = input + (first + x) * in->lanes;
        const int missing = (int)(first + x < 0 ? (-first - x < LANES ? -first - x : LANES) : 0) * in->lanes;
        const __mmask32 low = missing >= 32 ? 0 : 0xFFFFFFFFu << missing;
        const __mmask32 high = missing >= 64 ? 0 : missing <= 32 ? 0xFFFFFFFFu : 0xFFFFFFFFu << (missing - 32);
        const __m512i left = _mm512_maskz_loadu_epi16(low, at), right = _mm512_maskz_loadu_epi16(high, at + 32);
        for (int channel = 0; channel < in->lanes; channel++) {
            const __m512i where = _mm512_add_epi16(every, _mm512_set1_epi16((short)channel));
            const __m256i own = _mm512_castsi512_si256(_mm512_permutex2var_epi16(left, where, right));
            for (int column = 0; column < kernel; column++)
                _mm256_storeu_si256(
                    (__m256i *)(by->to + (column * in->lanes + channel) * by->stride + x - column), own);
        }
    }
}

/* Pairs of neighbouring pixels of the gradient of the output, `count` of them; none beyond pixel `end`. */
static void pair_gradient_of(const grid *out, const bf16 *output, int blocks, long first, long end, int32_t *to,
                             long count) {
    for (int block = 0; block < blocks; block++) {
        const bf16 *from = output + block * LANES / out->lanes * out->plane + block * LANES % out->lanes;
        for (long pair = 0; pair < count; pair++, to += LANES) {
            const long pixel = first + 2 * pair;
            const __m256i *at = (const __m256i *)(from + pixel * out->lanes);
            const __m256i *next = (const __m256i *)(from + (pixel + 1) * out->lanes);
            _mm512_storeu_si512(to, pairs(pixel < end ? _mm256_loadu_si256(at) : _mm256_setzero_si256(),
                                          pixel + 1 < end ? _mm256_loadu_si256(next) : _mm256_setzero_si256()));
        }
    }
}

/* Adds to M rows of tiles and N blocks of the gradient of weights what `steps` products say. */
INLINE void weigh_tiles(const int M, const int N, const operands *of, int steps, float *to, long width) {
    load_sums(M, N, to, width, ROWS * width);
    add_products(M, N, of, steps);
    store_sums(M, N, to, width, ROWS * width);
}

/* The same for `count` tiles below each other, and all blocks of outputs. */
static void weigh_column(operands of, int count, int blocks, long block, int steps, float *to, long width) {
    const bf16 *right = of.right;
    const int n = together(blocks);
    for (int tile = 0; tile < count; tile += 2, of.left += 2 * of.left_tile, to += 2 * ROWS * width) {
        of.right = right;
        for (int output = 0; output < blocks; output += n, of.right += n * block) {
            if (tile + 1 < count && n == 2)
                weigh_tiles(2, 2, &of, steps, to + output * LANES, width);
            else if (tile + 1 < count)
                weigh_tiles(2, 1, &of, steps, to + output * LANES, width);
            else if (n == 2)
                weigh_tiles(1, 2, &of, steps, to + output * LANES, width);
            else
                weigh_tiles(1, 1, &of, steps, to + output * LANES, width);
        }
    }
}

/* Adds to the gradient of the weights what images `start … stop` say. */
static void weigh(const workspace *on, const node *it, const node *from, int start, int stop) {
    const grid in = input_grid(on, it, from), out = output_grid(on, it);
    const int k = it->kernel, raw = in.lanes < LANES;
    const long width = (long)it->blocks * LANES, first = start * pixels_of(&in), end = stop * pixels_of(&in);
    const long whole = (end - first + DEPTH - 1) / DEPTH * DEPTH, ahead = (long)(k - 1) * (in.across + 1);
    rows_of_pixels by = {(bf16 *)on->inputs + LANES, 0, (whole + ahead + DEPTH - 1) / DEPTH * DEPTH};
    by.stride = by.pixels + (by.pixels / DEPTH % 2 ? 2 : 1) * DEPTH; /* rows do not share places of the cache */
    const long before = first - (long)out.first * (out.across + 1);
    if (raw)
        lay_columns(&in, it->input, before, &by, k);
    else
        lay_channels(&in, it->input, before, &by);
    pair_gradient_of(&out, it->output, it->blocks, first, end, on->outputs, whole / 2);
    const int rows = raw ? k * in.lanes : LANES, tiles = raw ? rows / ROWS : k, rest = raw ? rows % ROWS : 0;
    const long next = raw ? ROWS * by.stride : 1, block = whole * LANES;
    for (long x = 0; x < whole; x += CHUNK) {
        const int steps = (int)((whole - x < CHUNK ? whole - x : CHUNK) / DEPTH);
        for (int b = 0; b < from->blocks; b++)
            for (int y = 0; y < k; y++) {
                const operands of = {by.to + b * LANES * by.stride + x + (long)y * in.across,
                                     by.stride, next, DEPTH,
                                     (const bf16 *)on->outputs + x * LANES, 2 * LANES, block, RIGHT};
                float *to = it->d_weights + (long)(y * from->blocks + b) * k * from->block * width;
                weigh_column(of, tiles, it->blocks, block, steps, to, width);
            }
    }
    if (!rest) return;
    shape_tiles(rest);
    for (int y = 0; y < k; y++) {
        const operands of = {by.to + tiles * next + (long)y * in.across, by.stride, next, DEPTH,
                             (const bf16 *)on->outputs, 2 * LANES, block, RIGHT};
        float *to = it->d_weights + ((long)y * rows + tiles * ROWS) * width;
        weigh_column(of, 1, it->blocks, block, (int)(whole / DEPTH), to, width);
    }
    shape_tiles(ROWS);
}

static void backward_convolution(const workspace *on, const node *it, const node *from, int n, int adds) {
    const descent by = begin_descent(on, it, from, n);
    const grid in = input_grid(on, it, from), out = output_grid(on, it);
    const sink kept = {
        .of = from, .to = from->gradient, .above = it->relu ? it->input : 0, .on = &in, .adds = adds};
    const int count = images_at_once(&out, n);
    for (int start = 0; start < n; start += count) {
        const int stop = lesser(start + count, n);
        for (int number = start; number < stop; number++)
            unnormalise(it, &by, number, it->output + first_pixel(&out, number), spread_of(&out));
        if (from->learns) convolve(&out, it->kernel, it->output, it->backward, &kept, start, stop);
        weigh(on, it, from, start, stop);
    }
}

#endif
