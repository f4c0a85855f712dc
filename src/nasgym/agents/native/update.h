/* An update, by several threads: minibatch after minibatch, from what was seen to the new weights.

   A group's sums do not depend on which thread takes it, groups are added in their order, and squares of the gradient
   by stretches of one length, so that the number of threads changes no result. */
#ifndef NASGYM_AGENTS_UPDATE_H
#define NASGYM_AGENTS_UPDATE_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "backward.h"
#include "follow.h"

#define STRETCH 4096 /* numbers of the gradient that a thread takes at a time */
#define PATIENCE 4000 /* looks, after which a thread that waits lets others have the processor */

/* An update: a row of phases, each of some tasks. A thread begins with tasks that were its own before, whose numbers
   lie in its cache, and goes on with those of others; so nobody waits for a thread that has no processor. A phase
   begins when all tasks before it are complete. */
typedef struct {
    const lesson *of;
    const optimizer *by;
    float *gradient, *sums, *space;
    double *squares;     /* of each stretch */
    atomic_long *taken;  /* by task: the last phase in which it was taken, the first being 1 */
    double lost[MAX_GROUPS][LOSSES];
    atomic_long complete; /* tasks, of all phases */
} crew;

typedef struct {
    crew *of;
    int number;
    float *space;
    /* a phase: tasks before it, and in it; tasks looked at */
    long phase, before, count, looked;
} member;

/* A group, forwards; and its losses. */
static void go_forward(group *g, const float *panels) {
    const network *net = &g->of->net;
    const rollout *seen = &g->of->seen;
    long units = net->units, wide_step = g->count * units;
    for (long i = 0; i < g->count; i++) {
        memcpy(g->outputs + i * units, seen->hidden + g->places[i] * units, units * sizeof(float));
        memcpy(g->cells + i * units, seen->cell + g->places[i] * units, units * sizeof(float));
    }
    for (long t = 0; t < seen->length; t++) {
        long now = t * seen->n;
        sight saw = {seen->rows + now * net->fields, seen->numbers + now * net->numbers, seen->begins + now};
        memory before = {g->outputs + t * wide_step, g->cells + t * wide_step};
        memory after = {before.hidden + wide_step, before.cell + wide_step};
        for (long i = 0; i < g->count; i++) lay_out(net, saw, g->places[i], before, g->on, i);
        take_step(net, panels, g->on, after, g->gates + t * 4 * wide_step, g->count);
        for (long i = 0; i < g->count; i++) judge_sample(g, panels, now + g->places[i], t * g->count + i);
    }
}

static long stretches_of(const network *net) { return (gradient_floats(net) + STRETCH - 1) / STRETCH; }
INLINE stretch stretch_of(const crew *all, long number) {
    long first = number * STRETCH, last = first + STRETCH, floats = gradient_floats(&all->of->net);
    return (stretch){all->gradient, first, last < floats ? last : floats, 1.0f};
}

/* The gradient of one group of a minibatch; `space` belongs to the thread. */
static void take_group(crew *all, deal those, long number, float *space) {
    const lesson *of = all->of;
    const network *net = &of->net;
    float *forward = taken_from(&space, panel_floats(net));
    operand *backward = (operand *)taken_from(&space, backward_panel_floats(net));
    long first = first_of_group(those, number), last = first_of_group(those, number + 1);
    long floats = gradient_floats(net), width = 4L * net->units;
    group g = {.of = of, .places = those.places + first, .count = last - first, .lost = all->lost[number]};
    g.credits = credit_of(of, those);
    arranged(&g, space);
    g.of_table = all->sums + number * floats;
    g.of_left = g.of_table + net->rows * width;
    g.of_heads = g.of_left + lefts(net) * width;
    g.of_biases = g.of_heads + net->said * net->units;
    memset(g.of_table, 0, floats * sizeof(float));
    memset(g.lost, 0, LOSSES * sizeof(double));
    pack_forward(net, forward);
    go_forward(&g, forward);
    pack_backward(net, backward);
    go_back(&g, backward);
}

/* Follow one stretch of the gradient. */
static void take_stretch(crew *all, long minibatch, long number) {
    const network *net = &all->of->net;
    double squares = 0;
    for (long each = 0; each < stretches_of(net); each++) squares += all->squares[each];
    double norm = sqrt(squares), scale = all->by ? all->by->norm / (norm + 1e-6) : 1;
    stretch along = stretch_of(all, number);
    if (scale < 1 || scale != scale) along.scale = scale;
    if (all->by) follow(all->by, minibatch, net, along);
    if (number) return;
    double *came_to = all->of->came_to + minibatch * (LOSSES + 1);
    memset(came_to, 0, LOSSES * sizeof(double));
    for (long group = 0; group < dealt(all->of, minibatch).groups; group++)
        for (int loss = 0; loss < LOSSES; loss++) came_to[loss] += all->lost[group][loss];
    came_to[LOSSES] = norm;
}

/* Begin the next phase, of `count` tasks. */
static void begin(member *me, long count) {
    me->phase++;
    me->before += me->count;
    me->count = count;
    me->looked = 0;
    for (long looks = 0; atomic_load(&me->of->complete) < me->before; looks++)
        if (looks >= PATIENCE) sched_yield();
}

/* The number of a task that is left of the phase; -1 if there is none. */
static long task(member *me) {
    while (me->looked < me->count) {
        long number = (me->looked++ + me->number * me->count / me->of->of->threads) % me->count;
        long last = atomic_load(&me->of->taken[number]);
        if (last < me->phase && atomic_compare_exchange_strong(&me->of->taken[number], &last, me->phase)) return number;
    }
    return -1;
}

static void complete(member *me) { atomic_fetch_add(&me->of->complete, 1); }

static void *work(void *given) {
    member *me = given;
    crew *all = me->of;
    const network *net = &all->of->net;
    for (long minibatch = 0, number; minibatch < all->of->minibatches; minibatch++) {
        deal those = dealt(all->of, minibatch);
        begin(me, those.groups);
        for (; (number = task(me)) >= 0; complete(me)) take_group(all, those, number, me->space);
        begin(me, stretches_of(net));
        for (; (number = task(me)) >= 0; complete(me))
            all->squares[number] = add_up(net, those.groups, all->sums, stretch_of(all, number));
        begin(me, stretches_of(net));
        for (; (number = task(me)) >= 0; complete(me)) take_stretch(all, minibatch, number);
    }
    return NULL;
}

/* Tasks of a phase, at most. */
static long tasks_of(const network *net) { return stretches_of(net) > MAX_GROUPS ? stretches_of(net) : MAX_GROUPS; }

/* How many floats of space an update takes. */
static long update_floats(const lesson *of) {
    const network *net = &of->net;
    return (MAX_GROUPS + 1) * up(gradient_floats(net)) + 2 * up(2 * tasks_of(net)) +
           of->threads * floats_of_a_thread(of);
}

/* Call as many threads as are wanted, or as there can be, and work with them. */
static void update(const lesson *of, const optimizer *by) {
    const network *net = &of->net;
    pthread_t threads[MAX_THREADS];
    member members[MAX_THREADS];
    float *space = of->space;
    crew all = {.of = of, .by = by};
    all.gradient = taken_from(&space, gradient_floats(net));
    all.sums = taken_from(&space, MAX_GROUPS * gradient_floats(net));
    all.squares = (double *)taken_from(&space, 2 * tasks_of(net));
    all.taken = (atomic_long *)taken_from(&space, 2 * tasks_of(net));
    for (long task = 0; task < tasks_of(net); task++) atomic_init(&all.taken[task], 0);
    for (int number = 0; number < of->threads; number++)
        members[number] = (member){.of = &all, .number = number, .space = space + number * floats_of_a_thread(of)};
    int others = 0;
    while (others + 1 < of->threads && !pthread_create(&threads[others], NULL, work, &members[others + 1])) others++;
    work(&members[0]);
    while (others) pthread_join(threads[--others], NULL);
}

#endif
