/* Several numbers at a time, in the vector types of GCC and Clang, and the product of matrices that all is made of. */
#ifndef NASGYM_AGENTS_VECTORS_H
#define NASGYM_AGENTS_VECTORS_H

#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))
#ifdef __AVX512F__
#define LANES 16
#define ROWS 4 /* of a tile: sixteen sums of vectors, which stay in registers */
#define IN_REGISTER(numbers) __asm__("" : "+v"(numbers)) /* or else GCC loads them anew for each row */
#else
#define LANES 8
#define ROWS 2
#define IN_REGISTER(numbers)
#endif
#define PANEL (4 * LANES) /* columns of a panel: four vectors */

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t whole __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

INLINE vec load(const float *from) { return *(const vec *)from; }
INLINE void store(float *to, vec numbers) { *(vec *)to = numbers; }
INLINE vec all(float number) { return (vec){0} + number; }
INLINE vec chosen(whole where, vec yes, vec no) { return (vec)((where & (whole)yes) | (~where & (whole)no)); }
INLINE float total(vec numbers) {
    float sum = 0.0f;
    for (int lane = 0; lane < LANES; lane++) sum += numbers[lane];
    return sum;
}

/* tanh x = e / (e + 2) with e = exp(2x) - 1 = 2^k p + (2^k - 1), p = exp(r) - 1, 2x = k ln 2 + r: exact near 0, too. */
INLINE vec tanh_of(vec x) {
    vec y = x + x;
    y = chosen(y > all(18.0f), all(18.0f), y);
    y = chosen(y < all(-18.0f), all(-18.0f), y);
    vec shifted = y * 1.44269504f + 12582912.0f; /* the nearest whole number stands in the last bits */
    vec k = shifted - 12582912.0f;
    vec r = (y - k * 0.693359375f) + k * 2.12194440e-4f;
    vec series = r * (1.0f / 5040) + (1.0f / 720);
    series = series * r + (1.0f / 120);
    series = series * r + (1.0f / 24);
    series = series * r + (1.0f / 6);
    series = series * r + 0.5f;
    vec p = series * r * r + r;
    vec power = (vec)(((whole)shifted - 0x4b400000 + 127) << 23);
    vec e = power * p + (power - 1.0f);
    return e / (e + 2.0f);
}
INLINE vec sigmoid(vec x) { return tanh_of(x * 0.5f) * 0.5f + 0.5f; }

/* sums[i] += Σ_k a[i row + k step] panel[k], for `rows` (a constant) up to ROWS. */
INLINE void product(vec sums[ROWS][4], const int rows, const float *a, long row, long step, const float *panel,
                    long count) {
    for (long k = 0; k < count; k++, panel += PANEL, a += step) {
        vec b0 = load(panel), b1 = load(panel + LANES), b2 = load(panel + 2 * LANES), b3 = load(panel + 3 * LANES);
        IN_REGISTER(b0);
        IN_REGISTER(b1);
        IN_REGISTER(b2);
        IN_REGISTER(b3);
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            float by = a[i * row];
            sums[i][0] += b0 * by;
            sums[i][1] += b1 * by;
            sums[i][2] += b2 * by;
            sums[i][3] += b3 * by;
        }
    }
}

#endif
