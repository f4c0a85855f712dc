/* The network of an agent with an LSTM: a step for those who act, sequences and their gradients for those who learn.

   Environments are dealt into groups. A group's sums do not depend on which thread takes it, and groups are added in
   their order, so that the number of threads changes no result. */
#include <pthread.h>
#include <stdlib.h>

#include "backward.h"
#include "step.h"

/* What acts. Mirrored in library.py. */
typedef struct {
    network net;
    int32_t n_said, n_actions;
    const float *panels, *heads, *biases; /* (n_said, units), (n_said,): logits first */
    float masked;                         /* logit of a masked action */
    float *inputs, *kept;                 /* space for a step of all environments */
} actor;

const int64_t nasgym_sizes[] = {sizeof(network), sizeof(actor), sizeof(sequence), MAX_THREADS};

long nasgym_panel_floats(const network *net) { return 4L * net->units * net->units; }

void nasgym_pack(const network *net, float *panels) { pack_forward(net, panels); }

/* Whether each whole number is a row of the table. */
static int in_table(const network *net, const int32_t *rows, long count) {
    int outside = 0;
    for (long i = 0; i < count; i++) outside |= (uint32_t)rows[i] >= (uint32_t)net->rows;
    return !outside;
}

/* Take one step of n environments and write what is said, (n, n_said); hidden and cell are replaced. 0: a number that
   is no row of the table. */
int nasgym_say(const actor *who, long n, const int32_t *rows, const float *numbers, const uint8_t *begins,
               const uint8_t *mask, float *hidden, float *cell, float *said) {
    const network *net = &who->net;
    long units = net->units;
    if (!in_table(net, rows, n * net->fields)) return 0;
    step to = {cell, NULL, cell, hidden};
    take_step(net, who->panels, (sight){rows, numbers, begins}, hidden, to, n, who->inputs, who->kept);
    for (long i = 0; i < n; i++)
        for (int word = 0; word < who->n_said; word++) {
            vec sums = {0};
            for (long unit = 0; unit < units; unit += LANES)
                sums += load(hidden + i * units + unit) * load(who->heads + word * units + unit);
            int hides = word < who->n_actions && !mask[i * who->n_actions + word];
            said[i * who->n_said + word] = hides ? who->masked : total(sums) + who->biases[word];
        }
    return 1;
}

typedef struct {
    const sequence *of;
    const float *panels;
    int first, learns, failed;
} share;

static void forward_group(const sequence *of, const float *panels, long first, long last, float *space) {
    const network *net = &of->net;
    long units = net->units, n = of->n, count = last - first;
    float *inputs = space, *kept = space + count * 4 * units;
    for (long t = 0; t < of->length; t++) {
        long now = t * n + first, before = now - n;
        const float *hidden = t ? of->outputs + before * units : of->hidden + first * units;
        const float *cell = t ? of->cells + before * units : of->cell + first * units;
        step to = {cell, of->gates + now * 4 * units, of->cells + now * units, of->outputs + now * units};
        take_step(net, panels, seen_at(of, now), hidden, to, count, inputs, kept);
    }
}

static void *work(void *given) {
    share *my = given;
    const sequence *of = my->of;
    long largest = (of->n + of->groups - 1) / of->groups;
    float *space = malloc(sizeof(float) * (my->learns ? backward_floats(of, largest) : largest * 5 * of->net.units));
    my->failed = !space;
    for (long group = my->first; space && group < of->groups; group += of->threads) {
        long first = of->n * group / of->groups, last = of->n * (group + 1) / of->groups;
        if (my->learns) backward_group(of, my->panels, group, first, last, space);
        else forward_group(of, my->panels, first, last, space);
    }
    free(space);
    return NULL;
}

/* Let threads work; 0: not enough memory. */
static int share_out(const sequence *of, const float *panels, int learns) {
    share shares[MAX_THREADS];
    pthread_t threads[MAX_THREADS];
    int started[MAX_THREADS] = {0}, failed = 0;
    for (int i = 0; i < of->threads; i++) shares[i] = (share){of, panels, i, learns, 0};
    for (int i = 1; i < of->threads; i++) started[i] = !pthread_create(&threads[i], NULL, work, &shares[i]);
    work(&shares[0]);
    for (int i = 1; i < of->threads; i++) {
        if (started[i]) pthread_join(threads[i], NULL);
        else work(&shares[i]);
    }
    for (int i = 0; i < of->threads; i++) failed |= shares[i].failed;
    return !failed;
}

/* Write gates, cells and outputs. 1: written; 0: a number that is no row of the table; -1: not enough memory. */
int nasgym_forward(const sequence *of) {
    const network *net = &of->net;
    if (!in_table(net, of->rows, of->length * of->n * net->fields)) return 0;
    float *panels = malloc(sizeof(float) * nasgym_panel_floats(net));
    if (!panels) return -1;
    pack_forward(net, panels);
    int worked = share_out(of, panels, 0);
    free(panels);
    return worked ? 1 : -1;
}

/* Write gradients, (rows + units + numbers + 1, 4 units): of table, weight and matrix. 1, or -1: not enough memory. */
int nasgym_backward(const sequence *of, float *gradients) {
    const network *net = &of->net;
    float *panels = malloc(sizeof(float) * backward_panel_floats(net));
    if (!panels) return -1;
    pack_backward(net, panels);
    int worked = share_out(of, panels, 1);
    free(panels);
    if (worked) add_up(of, gradients);
    return worked ? 1 : -1;
}
