/* Additions and concatenations: where each input lies in the merge, and back. */
#ifndef NASGYM_MERGES_H
#define NASGYM_MERGES_H

#include <string.h>

#include "vectors.h"

INLINE int in_step(const node *it, const node *from, int which) {
    return it->block == LANES && from->block == LANES && it->channel[which] % LANES == 0;
}

INLINE long element(const node *it, int y, int x, int channel) {
    return y * row(it) + channel / it->block * run(it) + (long)x * it->block + channel % it->block;
}

/* Adds one row of one channel, or of sixteen that lie in step, of an input to its place in the merge. */
static void place(const node *it, const node *from, int which, int number) {
    const int wide = in_step(it, from, which), step = wide ? LANES : 1;
    const __mmask16 lanes = (__mmask16)(wide ? 0xFFFF : 1);
    for (int y = 0; y < from->height; y++)
        for (int c = 0; c < from->channels; c += step) {
            const affine by = wide          ? affine_of(from, c / LANES)
                              : from->scale ? (affine){_mm512_set1_ps(from->scale[c]), _mm512_set1_ps(from->shift[c])}
                                            : (affine){_mm512_set1_ps(1.0f), _mm512_setzero_ps()};
            const bf16 *value = from->value + number * image(from) + element(from, y, 0, c);
            bf16 *to = it->value + number * image(it) +
                       element(it, y + it->top[which], it->left[which], c + it->channel[which]);
            for (int x = 0; x < from->width; x++, value += from->block, to += it->block)
                store_some(lanes, to, _mm512_add_ps(load_some(lanes, to), apply(by, load_some(lanes, value))));
        }
}

static void merge(const node *it, const node *nodes, int n) {
    memset(it->value, 0, (size_t)(n * image(it)) * sizeof(bf16));
    for (int which = 0; which < it->n_inputs; which++)
        for (int number = 0; number < n; number++) place(it, nodes + it->inputs[which], which, number);
}

/* The gradient of a merge, at the place of an input, onto or in place of that input's own. */
static void unmerge(const node *it, const node *to, int which, int n, int adds) {
    const int wide = in_step(it, to, which), step = wide ? LANES : 1;
    const __mmask16 lanes = (__mmask16)(wide ? 0xFFFF : 1);
    if (!adds) memset(to->gradient, 0, (size_t)(n * image(to)) * sizeof(bf16));
    for (int number = 0; number < n; number++)
        for (int y = 0; y < to->height; y++)
            for (int c = 0; c < to->channels; c += step) {
                const bf16 *from = it->gradient + number * image(it) +
                                   element(it, y + it->top[which], it->left[which], c + it->channel[which]);
                bf16 *own = to->gradient + number * image(to) + element(to, y, 0, c);
                for (int x = 0; x < to->width; x++, from += it->block, own += to->block)
                    store_some(lanes, own, _mm512_add_ps(load_some(lanes, own), load_some(lanes, from)));
            }
}

#endif
