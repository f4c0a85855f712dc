/* One step of training, and the scores of a validation, of a planned network on one core. See library.py. */
#include "adam.h"
#include "convolution.h"
#include "flat.h"
#include "merges.h"
#include "passes.h"

#define MAX_BLOCKS 128
#define PIXELS_AT_ONCE 2048 /* of a feature map, so that what is unrolled, convolved and summed stays in the cache */
#define PAIRS_AT_ONCE 128   /* of pixels, for which gradients of weights stay in registers */

/* Mirrored in library.py. */
typedef struct {
    int32_t n_nodes;
    node *nodes;
    head top;
    bf16 *levels;                                   /* what a pixel of each of 256 levels is, for each channel */
    float *parameters, *gradients, *first, *second; /* flat; the first `n_decayed` lose weight */
    int64_t n_decayed, n_parameters;
    int32_t *input_pairs, *output_pairs;            /* scratch */
    float *descents;                                /* scratch: three numbers a channel */
} network;

/* What library.py, memory.py and program.py know, too. */
const int64_t nasgym_sizes[] = {sizeof(node),  sizeof(head), sizeof(dense), sizeof(network), sizeof(adam),
                                PAIRS_AT_ONCE, LANES,        MAX_INPUTS,      MAX_BLOCKS * LANES,
                                SIDE,          TILES_AT_ONCE};

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
static void arrange(const node *it, const node *from) {
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

static void forward_convolution(node *it, const node *from, int n, int trains) {
    const int normalises = it->scale != 0;
    __m512 sums[MAX_BLOCKS], squares[MAX_BLOCKS];
    for (int block = 0; block < it->blocks; block++) sums[block] = squares[block] = _mm512_setzero_ps();
    const int groups = it->blocks / together(it->width, from->block, it->blocks), count = images_at_once(it, n);
    const long size = input_image(it, from);
    for (int start = 0; start < n; start += count) {
        const int stop = lesser(start + count, n);
        for (int number = start; number < stop; number++)
            surround(from, from->value + number * image(from), it->input + number * size, it->margin, it->relu);
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
static void weigh(const network *net, const node *it, const node *from, int first, int count, int top, int bottom) {
    const int k = it->kernel, r = it->margin, above = top < r ? 0 : top - r;
    const int below = lesser(bottom + k - 1 - r, from->height), columns = (it->width + 1) / 2;
    const int q = it->blocks % 2 ? 1 : 2;
    const long padded = padded_run(it->width, k, from->block), in_row = padded * from->blocks;
    const long in_image = (below - above) * in_row, out_block = (long)columns * LANES;
    const long out_row = out_block * it->blocks, out_image = (bottom - top) * out_row;
    const long d_run = padded_run(from->width, k, LANES), width = (long)it->blocks * LANES;
    for (int number = 0; number < count; number++) {
        const long image = first + number;
        pair_columns(it->input + image * input_image(it, from) + above * in_row, net->input_pairs + number * in_image,
                     in_image / from->block, from->block);
        const bf16 *d = it->output + (image * it->height + top) * it->blocks * d_run + margin_back(it) * LANES;
        int32_t *to = net->output_pairs + number * out_image;
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
                    by.sums(net->input_pairs + (start + y - r - above) * in_row + b * padded + i, in_row, in_image,
                            from->block, net->output_pairs + (start - top) * out_row + group * q * out_block, out_row,
                            out_image, out_block, count, stop - start, columns,
                            it->d_weights + ((long)(y * from->blocks + b) * range + i) * width + group * q * LANES,
                            width);
    }
}

static void backward_convolution(const network *net, const node *it, const node *from, int n, int adds) {
    __m512 sums[MAX_BLOCKS], products[MAX_BLOCKS];
    const long channels = (long)it->blocks * LANES;
    const descent by = {net->descents, net->descents + channels, net->descents + 2 * channels};
    sums_of_gradient(it, n, sums, products);
    memset(net->descents, 0, (size_t)(3 * channels) * sizeof(float));
    if (it->scale)
        descend(it, sums, products, (double)n * it->height * it->width, &by);
    else
        descend_biases(it, sums, &by);
    memset(it->d_weights, 0, (size_t)(it->kernel * it->kernel * from->blocks * from->block * channels) * sizeof(float));
    const int count = images_at_once(it, n);
    const int groups = from->learns ? from->blocks / together(from->width, LANES, from->blocks) : 0;
    const long out_image = (long)it->height * it->blocks * padded_run(from->width, it->kernel, LANES);
    const int rows = lesser(it->height, PAIRS_AT_ONCE / ((it->width + 1) / 2) + 1);
    const int images = rows < it->height ? 1 : PAIRS_AT_ONCE / (it->height * ((it->width + 1) / 2)) + 1;
    for (int start = 0; start < n; start += count) {
        const int stop = lesser(start + count, n);
        for (int number = start; number < stop; number++) unnormalise(it, &by, number);
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
                weigh(net, it, from, number, lesser(images, stop - number), top, lesser(top + rows, it->height));
    }
}

/* The images of a batch, scaled. */
static void look(const network *net, const uint8_t *pixels, const int64_t *rows, int n) {
    const node *it = net->nodes;
    const int channels = it->channels, block = it->block;
    for (int number = 0; number < n; number++) {
        const uint8_t *from = pixels + (rows ? rows[number] : number) * it->height * it->width * channels;
        for (int y = 0; y < it->height; y++, from += (long)it->width * channels)
            for (int first = 0; first < channels; first += block) {
                bf16 *to = it->value + number * image(it) + y * row(it) + first / block * run(it);
                const int count = lesser(channels - first, block);
                for (int x = 0; x < it->width; x++, to += block)
                    for (int c = 0; c < count; c++)
                        to[c] = net->levels[(first + c) * 256 + from[x * channels + first + c]];
            }
    }
}

static void forward(const network *net, int n, int trains, uint64_t key) {
    const node *last = net->nodes + net->top.source;
    for (int index = 1; index < net->n_nodes; index++) {
        node *it = net->nodes + index;
        const node *from = net->nodes + it->inputs[0];
        if (it->kind == CONVOLUTION)
            forward_convolution(it, from, n, trains);
        else if (it->kind == MAXIMUM || it->kind == AVERAGE)
            for (int number = 0; number < n; number++) pool(it, from, number);
        else
            merge(it, net->nodes, n);
    }
    if (net->top.n_layers) {
        for (int number = 0; number < n; number++) flatten(&net->top, last, number);
        flat_scores(&net->top, n, trains, key);
        return;
    }
    for (int number = 0; number < n; number++) features_of(&net->top, last, number);
    scores_of(&net->top, n);
}

static void backward(const network *net, int n, const adam *by) {
    uint8_t written[net->n_nodes];
    memset(written, 0, sizeof written);
    const node *last = net->nodes + net->top.source;
    if (net->top.n_layers) {
        descend_flat(&net->top, last, n, by);
    } else {
        descend_scores(&net->top, n);
        if (last->learns)
            for (int number = 0; number < n; number++) descend_features(&net->top, last, number, 0);
    }
    written[net->top.source] = 1;
    for (int index = net->n_nodes - 1; index > 0; index--) {
        const node *it = net->nodes + index;
        if (!it->learns) continue;
        for (int which = 0; which < it->n_inputs; which++) {
            const int source = it->inputs[which];
            const node *from = net->nodes + source;
            if (it->kind == CONVOLUTION)
                backward_convolution(net, it, from, n, written[source]);
            else if (from->learns && (it->kind == MAXIMUM || it->kind == AVERAGE))
                unpool(it, from, n, written[source]);
            else if (from->learns)
                unmerge(it, from, which, n, written[source]);
            written[source] = 1;
        }
    }
}

static void arrange_all(const network *net) {
    for (int index = 1; index < net->n_nodes; index++)
        if (net->nodes[index].kind == CONVOLUTION)
            arrange(net->nodes + index, net->nodes + net->nodes[index].inputs[0]);
}

/* One step on images `rows` of `pixels`; returns the mean loss before it. `key`: of the step's dropout. */
double nasgym_step(const network *net, const uint8_t *pixels, const int64_t *rows, const int64_t *labels, int n,
                   float smoothing, const adam *by, uint64_t key) {
    double loss = 0.0;
    arrange_all(net);
    look(net, pixels, rows, n);
    forward(net, n, 1, key);
    for (int number = 0; number < n; number++)
        loss += cross_entropy(net->top.scores + (long)number * net->top.n_classes, net->top.n_classes,
                              labels[rows ? rows[number] : number], smoothing, 1.0f / (float)n);
    backward(net, n, by);
    descend_parameters(by, net->parameters, net->gradients, net->first, net->second, net->n_decayed,
                       net->n_parameters);
    return loss / n;
}

/* Scores `n` images by the running statistics; adds to the summed loss and the number of right answers. */
void nasgym_score(const network *net, const uint8_t *pixels, const int64_t *labels, int64_t n, int batch, double *loss,
                  int64_t *correct) {
    const long size = (long)net->nodes->height * net->nodes->width * net->nodes->channels;
    const int k = net->top.n_classes;
    arrange_all(net);
    for (int64_t start = 0; start < n; start += batch) {
        const int count = (int)(n - start < batch ? n - start : batch);
        look(net, pixels + start * size, 0, count);
        forward(net, count, 0, 0);
        for (int number = 0; number < count; number++) {
            float *scores = net->top.scores + (long)number * k;
            int best = 0;
            for (int c = 1; c < k; c++)
                if (scores[c] > scores[best]) best = c;
            *correct += best == labels[start + number];
            *loss += cross_entropy(scores, k, labels[start + number], 0.0f, 0.0f);
        }
    }
}
