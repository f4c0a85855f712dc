/* Products of 16 × 32 by 32 × 16 numbers in one instruction (AMX), for processors and compilers that have it.

   A tile has 16 rows of 64 bytes. What is on the left has a row of 32 numbers for each row of the sums; what is on the
   right has a row of 16 pairs, one for each column of the sums, for every two of those numbers. Tiles 0 to 3 hold sums,
   4 and 5 what is on the left, 6 and 7 what is on the right. */
#ifndef NASGYM_TILES_H
#define NASGYM_TILES_H

#include "vectors.h"

#ifdef __AMX_BF16__
#define TILES
#define ROWS 16                /* of a tile */
#define DEPTH 32               /* numbers that one product sums over */
#define RIGHT (DEPTH * LANES)  /* numbers of a tile on the right */

typedef struct {
    uint8_t palette, start, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_shapes;

/* Compilers do not know what the instructions on tiles read (GCC's have no operands in memory): all that was written so
   far, at `at` and elsewhere, must be there before they do. */
INLINE void written(const void *at) { __asm__ volatile("" : : "r"(at) : "memory"); }

/* Gives the sums and what is on the left so many rows; must come before any product, in each thread. */
static void shape_tiles(int rows) {
    tile_shapes shapes = {.palette = 1};
    for (int tile = 0; tile < 8; tile++) {
        shapes.row_bytes[tile] = 4 * LANES;
        shapes.rows[tile] = (uint8_t)(tile < 6 ? rows : ROWS);
    }
    written(&shapes);
    _tile_loadconfig(&shapes);
}

/* Where the operands of M × N products lie; all strides in numbers, that of `to` in floats. */
typedef struct {
    const bf16 *left;
    long left_row, left_tile, left_step;    /* from row to row, from one of M to the next, from product to product */
    const bf16 *right;
    long right_row, right_tile, right_step; /* likewise, from one of N to the next */
} operands;

/* Adds `steps` products to the sums that the tiles hold: M and N are 2 and 2, 1 and 2, or 1, 2 or 4 and 1. */
INLINE void add_products(const int M, const int N, const operands *of, int steps) {
    const bf16 *left = of->left, *right = of->right;
    const long rows = of->left_row * 2, pairs_of = of->right_row * 2;
    written(left);
    for (int step = 0; step < steps; step++, left += of->left_step, right += of->right_step) {
        _tile_loadd(6, right, pairs_of);
        if (N > 1) _tile_loadd(7, right + of->right_tile, pairs_of);
        _tile_loadd(4, left, rows);
        _tile_dpbf16ps(0, 4, 6);
        if (N > 1) _tile_dpbf16ps(1, 4, 7);
        if (M > 1) {
            _tile_loadd(5, left + of->left_tile, rows);
            if (N > 1) {
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            } else {
                _tile_dpbf16ps(1, 5, 6);
            }
        }
        if (M > 2) {
            _tile_loadd(4, left + 2 * of->left_tile, rows);
            _tile_dpbf16ps(2, 4, 6);
            _tile_loadd(5, left + 3 * of->left_tile, rows);
            _tile_dpbf16ps(3, 5, 6);
        }
    }
}

INLINE void clear_sums(void) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

/* Reads or writes the sums of M × N products; `row` and `tile`: floats from row to row, and from one of M to the next. */
#define EACH_SUM(DO)                                                        \
    DO(0, to, 4 * row);                                                     \
    if (N > 1) DO(1, to + LANES, 4 * row);                                  \
    if (M > 1 && N == 1) DO(1, to + tile, 4 * row);                         \
    if (M > 1 && N > 1) DO(2, to + tile, 4 * row);                          \
    if (M > 1 && N > 1) DO(3, to + tile + LANES, 4 * row);                  \
    if (M > 2) DO(2, to + 2 * tile, 4 * row);                               \
    if (M > 2) DO(3, to + 3 * tile, 4 * row);
INLINE void load_sums(const int M, const int N, const float *to, long row, long tile) {
    written(to);
    EACH_SUM(_tile_loadd)
}
INLINE void store_sums(const int M, const int N, float *to, long row, long tile) { EACH_SUM(_tile_stored) }

#endif
#endif
