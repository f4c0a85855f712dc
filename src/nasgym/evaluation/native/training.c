/* One step of training, and the scores of a validation, of a planned network on one core. See library.py. */
#include "adam.h"
#include "flat.h"
#include "merges.h"
#include "passes.h"
#ifdef TILES
#include "tiled_convolution.h"
#include <sys/syscall.h>
#include <unistd.h>
#else
#include "convolution.h"
#endif

/* Mirrored in library.py. */
typedef struct {
    int32_t n_nodes;
    node *nodes;
    head top;
    bf16 *levels;                                   /* what a pixel of each of 256 levels is, for each channel */
    float *parameters, *gradients, *first, *second; /* flat; the first `n_decayed` lose weight */
    int64_t n_decayed, n_parameters;
    workspace on;
} network;

/* What library.py, memory.py and program.py know, too. */
const int64_t nasgym_sizes[] = {sizeof(node),  sizeof(head), sizeof(dense), sizeof(network), sizeof(adam),
                                PAIRS_AT_ONCE, LANES,        MAX_INPUTS,      MAX_BLOCKS * LANES,
                                SIDE,          TILES_AT_ONCE};

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
            forward_convolution(&net->on, it, from, n, trains);
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
                backward_convolution(&net->on, it, from, n, written[source]);
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
            arrange(&net->on, net->nodes + index, net->nodes + net->nodes[index].inputs[0]);
}

/* Asks the system for the registers that the code needs; 0 if it grants them. */
int nasgym_prepare(void) {
#ifdef TILES
    const long request = 0x1023, tiles = 18; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
    return (int)syscall(SYS_arch_prctl, request, tiles);
#else
    return 0;
#endif
}

static void begin(const network *net) {
#ifdef TILES
    shape_tiles(ROWS);
#endif
    arrange_all(net);
}
static void end(void) {
#ifdef TILES
    _tile_release();
#endif
}

/* One step on images `rows` of `pixels`; returns the mean loss before it. `key`: of the step's dropout. */
double nasgym_step(const network *net, const uint8_t *pixels, const int64_t *rows, const int64_t *labels, int n,
                   float smoothing, const adam *by, uint64_t key) {
    double loss = 0.0;
    begin(net);
    look(net, pixels, rows, n);
    forward(net, n, 1, key);
    for (int number = 0; number < n; number++)
        loss += cross_entropy(net->top.scores + (long)number * net->top.n_classes, net->top.n_classes,
                              labels[rows ? rows[number] : number], smoothing, 1.0f / (float)n);
    backward(net, n, by);
    descend_parameters(by, net->parameters, net->gradients, net->first, net->second, net->n_decayed,
                       net->n_parameters);
    end();
    return loss / n;
}

/* Scores `n` images by the running statistics; adds to the summed loss and the number of right answers. */
void nasgym_score(const network *net, const uint8_t *pixels, const int64_t *labels, int64_t n, int batch, double *loss,
                  int64_t *correct) {
    const long size = (long)net->nodes->height * net->nodes->width * net->nodes->channels;
    const int k = net->top.n_classes;
    begin(net);
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
    end();
}
