/* Sixteen bfloat16 numbers at a time, computed in fp32; and what a network is made of here.

   Feature maps are stored in blocks of channels: [image][row][block][column][channel of the block], where a block has
   16 channels, or 4 for an image of at most 4. Channels beyond the last one are zero. */
#ifndef NASGYM_VECTORS_H
#define NASGYM_VECTORS_H

#include <immintrin.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))
#define LANES 16
#define MAX_INPUTS 16
#define MAX_BLOCKS 128
#define PAIRS_AT_ONCE 128 /* of pixels, for which gradients of weights stay in registers */

typedef uint16_t bf16;

enum kind { IMAGE, CONVOLUTION, MAXIMUM, AVERAGE, ADDITION, CONCATENATION };

/* One node of a network; pointers that its kind has no use for are null. Mirrored in library.py. */
typedef struct {
    int32_t kind, channels, block, blocks, height, width;
    int32_t n_inputs, inputs[MAX_INPUTS];
    int32_t top[MAX_INPUTS], left[MAX_INPUTS], channel[MAX_INPUTS]; /* where an input lies in a merge */
    int32_t kernel, margin, relu, learns; /* margin: zeros around the input; learns: it, or something before it */
    /* Of a convolution: before its BatchNorm, or after its bias and ReLU; the gradient is that after either. */
    bf16 *value, *gradient;
    float *scale, *shift;        /* BatchNorm as applied, one number a channel; null where there is none */
    bf16 *input, *output;        /* of a convolution, with margins: what it reads, and what the pass back reads */
    bf16 *rounded, *forward, *backward;        /* weights: as they are, and in the order of both passes */
    float *weights, *gamma, *beta;             /* [row of kernel][block][column][channel][output]; beta: or the bias */
    float *d_weights, *d_gamma, *d_beta;       /* their gradients */
    float *mean, *deviation;                   /* of the batch; deviation: its inverse */
    float *running_mean, *running_variance;
    float epsilon;
} node;

/* Room for pieces of work. Mirrored in library.py. */
typedef struct {
    int32_t *inputs, *outputs; /* pairs of numbers, for the gradient of weights */
    float *descents;           /* three numbers a channel */
    int64_t capacity;          /* images that feature maps have room for */
} workspace;

INLINE __m512 widen(__m256i numbers) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(numbers), 16));
}
INLINE __m256i narrow(__m512 numbers) { return (__m256i)_mm512_cvtneps_pbh(numbers); }
INLINE __m512 load(const bf16 *from) { return widen(_mm256_loadu_si256((const __m256i *)from)); }
INLINE void store(bf16 *to, __m512 numbers) { _mm256_storeu_si256((__m256i *)to, narrow(numbers)); }
INLINE __m512 load_some(__mmask16 lanes, const bf16 *from) { return widen(_mm256_maskz_loadu_epi16(lanes, from)); }
INLINE void store_some(__mmask16 lanes, bf16 *to, __m512 numbers) {
    _mm256_mask_storeu_epi16(to, lanes, narrow(numbers));
}
/* Two rows of sixteen → sixteen pairs, as the dot product of pairs wants them. */
INLINE __m512i pairs(__m256i even, __m256i odd) {
    return _mm512_or_si512(_mm512_cvtepu16_epi32(even), _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
}
INLINE float number(bf16 from) {
    union { uint32_t bits; float value; } both = {(uint32_t)from << 16};
    return both.value;
}
INLINE bf16 rounded(float from) { return (bf16)_mm_extract_epi16((__m128i)_mm_cvtneps_pbh(_mm_set_ss(from)), 0); }

INLINE __mmask16 lanes_of(const node *it) { return (__mmask16)((1u << it->block) - 1); }
INLINE int lesser(int a, int b) { return a < b ? a : b; }

/* Zeros around what the pass back to the input of a convolution reads. */
INLINE int margin_back(const node *it) { return it->kernel - 1 - it->margin; }

/* Elements of one row of one block, of one row, of one image of a node's value. */
INLINE long run(const node *it) { return (long)it->width * it->block; }
INLINE long row(const node *it) { return run(it) * it->blocks; }
INLINE long image(const node *it) { return row(it) * it->height; }

/* The BatchNorm of channels `first …`, as sixteen numbers that repeat with the block. */
typedef struct { __m512 scale, shift; } affine;
INLINE affine affine_of(const node *it, int block) {
    if (!it->scale) return (affine){_mm512_set1_ps(1.0f), _mm512_setzero_ps()};
    return (affine){_mm512_loadu_ps(it->scale + block * LANES), _mm512_loadu_ps(it->shift + block * LANES)};
}
INLINE __m512 apply(affine by, __m512 numbers) { return _mm512_fmadd_ps(numbers, by.scale, by.shift); }

#endif
