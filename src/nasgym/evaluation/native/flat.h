/* The classifier that flattens: a feature map as it lies in memory, ReLU, and dense layers with dropout between. */
#ifndef NASGYM_FLAT_H
#define NASGYM_FLAT_H

#include "head.h"

/* One of the numbers that follow each other in SplitMix64. */
static uint64_t mixed(uint64_t from) {
    from += 0x9E3779B97F4A7C15u;
    from = (from ^ from >> 30) * 0xBF58476D1CE4E5B9u;
    from = (from ^ from >> 27) * 0x94D049BB133111EBu;
    return from ^ from >> 31;
}

/* The feature map of one image, after BatchNorm and ReLU, as the inputs of the first layer. */
static void flatten(const head *top, const node *it, int number) {
    bf16 *to = top->layers->inputs + number * input_row(top->layers);
    const bf16 *value = it->value + number * image(it);
    for (int i = 0; i < top->n_groups; i++, to += LANES) {
        const group *one = top->groups + i;
        const __mmask16 lanes = (__mmask16)one->lanes;
        const __m512 pixel = seen(top, affine_of(it, one->block), lanes, value + one->at);
        store(to, _mm512_maskz_mov_ps(lanes, pixel));
    }
}

static void flat_scores(const head *top, int n, int trains, uint64_t key) {
    for (int i = 0; i < top->n_layers; i++) {
        dense *it = top->layers + i;
        sums_of(&top->on, it, n);
        if (i + 1 < top->n_layers) activate(it, it + 1, n, mixed(mixed(key) + (uint64_t)i), trains);
    }
    const dense *last = top->layers + top->n_layers - 1;
    for (int number = 0; number < n; number++)
        for (int c = 0; c < top->n_classes; c++)
            top->scores[(long)number * top->n_classes + c] =
                last->sums[(long)number * last->n_outputs + c] + last->biases[c];
}

/* Gives sixteen inputs of the first layer back to the feature map. */
INLINE void unflatten(const head *top, const node *it, int number, int which, __m512 gradient) {
    const group *one = top->groups + which;
    const __m512 value = load(top->layers->inputs + number * input_row(top->layers) + (long)which * LANES);
    const __mmask16 passes = _mm512_cmp_ps_mask(value, _mm512_setzero_ps(), _CMP_GT_OQ);
    const __mmask16 kept = (__mmask16)(one->lanes & (top->relu ? passes : 0xFFFF));
    store(it->gradient + number * image(it) + one->at, _mm512_maskz_mov_ps(kept, gradient));
}

/* From the gradient of the scores to that of the feature map, where something before it learns; changes all weights. */
static void descend_flat(const head *top, const node *it, int n, const adam *by) {
    const adam_lanes lanes = lanes_of_adam(by);
    const workbench *on = &top->on;
    dense *layer = top->layers + top->n_layers - 1;
    memset(layer->sums, 0, (size_t)n * (size_t)layer->n_outputs * sizeof(float));
    for (int number = 0; number < n; number++)
        memcpy(layer->sums + (long)number * layer->n_outputs, top->scores + (long)number * top->n_classes,
               (size_t)top->n_classes * sizeof(float));
    for (; layer > top->layers; layer--) descend_hidden(on, layer, layer - 1, n, &lanes);
    pair_gradient(on, layer, n);
    if (it->learns && top->n_groups * LANES < image(it))
        memset(it->gradient, 0, (size_t)(n * image(it)) * sizeof(bf16));
    for (int tile = 0; tile < layer->n_inputs / SIDE; tile++) {
        if (it->learns) {
            descend_tile(on, layer, n, tile);
            for (int which = 2 * tile; which < lesser(2 * tile + 2, top->n_groups); which++)
                for (int number = 0; number < n; number++)
                    unflatten(top, it, number, which, gradient_at(on, n, which % 2 * LANES, number));
        }
        learn_tile(on, layer, n, tile, &lanes);
    }
}

#endif
