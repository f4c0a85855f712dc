/* Several numbers at a time, in the vector types of GCC and Clang, and the product of matrices that all is made of. */
#ifndef NASGYM_AGENTS_VECTORS_H
#define NASGYM_AGENTS_VECTORS_H

#include <stdint.h>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

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
/* A number, but no more, or no less, than a limit; what is no number stays none. */
INLINE vec at_most(float limit, vec x) { return chosen(x > all(limit), all(limit), x); }
INLINE vec at_least(float limit, vec x) { return chosen(x < all(limit), all(limit), x); }
INLINE float total(vec numbers) {
    float sum = 0.0f;
    for (int lane = 0; lane < LANES; lane++) sum += numbers[lane];
    return sum;
}

/* exp(y) = 2^k (p + 1), y = k ln 2 + r: returns p = exp(r) - 1, which is exact near 0, too; y from -87 to 88. */
INLINE vec exponential(vec y, vec *power) {
    vec shifted = y * 1.44269504f + 12582912.0f; /* the nearest whole number stands in the last bits */
    vec k = shifted - 12582912.0f;
    vec r = (y - k * 0.693359375f) + k * 2.12194440e-4f;
    vec series = r * (1.0f / 5040) + (1.0f / 720);
    series = series * r + (1.0f / 120);
    series = series * r + (1.0f / 24);
    series = series * r + (1.0f / 6);
    series = series * r + 0.5f;
    *power = (vec)(((whole)shifted - 0x4b400000 + 127) << 23);
    return series * r * r + r;
}
/* exp y of numbers up to 0; of what is below -87, exactly 0. */
INLINE vec exp_of(vec y) {
    vec power, p = exponential(at_least(-87.0f, y), &power);
    return chosen(y < all(-87.0f), all(0.0f), power * p + power);
}
/* tanh x = e / (e + 2) with e = exp(2x) - 1. */
INLINE vec tanh_of(vec x) {
    vec power, p = exponential(at_least(-18.0f, at_most(18.0f, x + x)), &power);
    vec e = power * p + (power - 1.0f);
    return e / (e + 2.0f);
}
INLINE vec sigmoid(vec x) {
    vec power, p = exponential(at_least(-87.0f, at_most(87.0f, -x)), &power);
    return 1.0f / (power * p + (power + 1.0f));
}

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


/* Operands of the products that gradients are made of. Where the processor multiplies pairs of bf16 numbers, which
   takes half the time, an operand is such a pair; sums are made in float as elsewhere. */
#ifdef __AVX512BF16__
#define DEPTH 2
typedef uint32_t operand;

/* LANES numbers → LANES / DEPTH operands. */
INLINE void narrow(const float *from, operand *to) {
    _mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh((__m512)load(from)));
}
INLINE whole rounded(const float *from) {
    whole bits = (whole)load(from);
    return bits + 0x7fff + ((bits >> 16) & 1);
}
/* Twice LANES numbers → LANES operands of one of each. */
INLINE void pair_up(const float *first, const float *second, operand *to) {
    *(whole *)to = ((rounded(first) >> 16) & 0xffff) | (rounded(second) & -0x10000);
}
INLINE void product_of_operands(vec sums[ROWS][4], const int rows, const operand *a, long row, long step,
                                const operand *panel, long count) {
    for (long k = 0; k < count; k++, panel += PANEL, a += step) {
        __m512i b0 = _mm512_loadu_si512(panel), b1 = _mm512_loadu_si512(panel + LANES);
        __m512i b2 = _mm512_loadu_si512(panel + 2 * LANES), b3 = _mm512_loadu_si512(panel + 3 * LANES);
        IN_REGISTER(b0);
        IN_REGISTER(b1);
        IN_REGISTER(b2);
        IN_REGISTER(b3);
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            __m512bh by = (__m512bh)_mm512_set1_epi32(a[i * row]);
            sums[i][0] = (vec)_mm512_dpbf16_ps((__m512)sums[i][0], by, (__m512bh)b0);
            sums[i][1] = (vec)_mm512_dpbf16_ps((__m512)sums[i][1], by, (__m512bh)b1);
            sums[i][2] = (vec)_mm512_dpbf16_ps((__m512)sums[i][2], by, (__m512bh)b2);
            sums[i][3] = (vec)_mm512_dpbf16_ps((__m512)sums[i][3], by, (__m512bh)b3);
        }
    }
}
#else
#define DEPTH 1
typedef float operand;
INLINE void narrow(const float *from, operand *to) { store(to, load(from)); }
#define product_of_operands product
#endif

#endif
