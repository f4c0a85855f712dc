/* The network of an agent with an LSTM: for those who act a step in one call, for those who learn an update. */
#include "update.h"

const int64_t nasgym_sizes[] = {sizeof(network),   sizeof(rollout), sizeof(objective), sizeof(lesson),
                                sizeof(optimizer), MAX_THREADS,     LOSSES};

long nasgym_panel_floats(const network *net) { return panel_floats(net); }

void nasgym_pack(const network *net, float *panels) { pack_forward(net, panels); }

/* Whether each whole number is a row of the table. */
int nasgym_in_table(const network *net, const int32_t *rows, long count) {
    int outside = 0;
    for (long i = 0; i < count; i++) outside |= (uint32_t)rows[i] >= (uint32_t)net->rows;
    return !outside;
}

long nasgym_say_floats(const network *net, long n) { return bench_floats(net, n); }

/* Take one step of n environments and write what is said, (n, across); hidden and cell are replaced. 0: a number that
   is no row of the table. */
int nasgym_say(const network *net, const float *panels, float *space, long n, const int32_t *rows, const float *numbers,
               const uint8_t *begins, const uint8_t *mask, float *hidden, float *cell, float *said) {
    if (!nasgym_in_table(net, rows, n * net->fields)) return 0;
    bench on = bench_in(net, space, n);
    memory kept = {hidden, cell};
    for (long i = 0; i < n; i++) lay_out(net, (sight){rows, numbers, begins}, i, kept, on, i);
    take_step(net, panels, on, kept, NULL, n);
    for (long i = 0; i < n; i++) {
        float *words = said + i * across(net);
        speak(net, panels, hidden + i * net->units, words);
        for (int action = 0; action < net->actions; action++)
            if (!mask[i * net->actions + action]) words[action] = net->masked;
    }
    return 1;
}

/* How many floats of space a lesson takes. */
long nasgym_lesson_floats(const lesson *of) { return update_floats(of); }

/* Learn from one minibatch after the other. Without an optimizer nothing is learned; the gradient of the last one
   stands at the beginning of the space. */
void nasgym_learn(const lesson *of, const optimizer *by) { update(of, by); }
