/* Losses of a group of environments, and their gradients with respect to what the heads say. */
#ifndef NASGYM_AGENTS_LOSSES_H
#define NASGYM_AGENTS_LOSSES_H

#include <math.h>

#include "lesson.h"

/* Sums over a minibatch that its losses need in advance. */
static credit credit_of(const lesson *of, deal those) {
    const rollout *seen = &of->seen;
    double total = 0, first = 0, second = 0;
    for (long t = 0; t < seen->length; t++)
        for (long i = 0; i < those.count; i++) {
            long place = t * seen->n + those.places[i];
            total += seen->weights[place];
            first += (double)seen->weights[place] * seen->advantages[place];
        }
    if (total < 1) total = 1;
    if (!of->aim.normalizes) return (credit){total, 0.0f, 1.0f};
    double mean = first / total;
    for (long t = 0; t < seen->length; t++)
        for (long i = 0; i < those.count; i++) {
            long place = t * seen->n + those.places[i];
            double centred = seen->advantages[place] - mean;
            second += seen->weights[place] * centred * centred;
        }
    return (credit){total, mean, 1 / (sqrt(second / total) + 1e-8)};
}

/* Logits → probabilities, and logarithms of them in their place; both have `across` lanes, the last of them empty. */
INLINE void probabilities(float *logits, float *shares, long words) {
    vec largest = load(logits), sums = {0};
    for (long word = LANES; word < words; word += LANES) {
        vec these = load(logits + word);
        largest = chosen(these > largest, these, largest);
    }
    float top = largest[0];
    for (int lane = 1; lane < LANES; lane++)
        if (!(largest[lane] <= top)) top = largest[lane];
    for (long word = 0; word < words; word += LANES) {
        vec share = exp_of(load(logits + word) - top);
        store(shares + word, share);
        sums += share;
    }
    float sum = total(sums), logarithm = logf(sum);
    for (long word = 0; word < words; word += LANES) {
        store(logits + word, load(logits + word) - top - logarithm);
        store(shares + word, load(shares + word) / sum);
    }
}

/* The loss of the policy for one action, of probability exp `now` and `then`, and its slope with respect to `now`. */
INLINE float policy_slope(const objective *aim, double *lost, float credits, float weight, float now, float then) {
    float difference = now - then, ratio = expf(difference);
    lost[KL] += (double)weight * (ratio - 1 - difference);
    if (!aim->clips) {
        lost[POLICY] -= (double)weight * credits * now;
        return -weight * credits;
    }
    float within = fminf(fmaxf(ratio, 1 - aim->clip), 1 + aim->clip);
    int cuts = credits * within < credits * ratio;
    lost[CLIPPED] += fabsf(ratio - 1) > aim->clip ? weight : 0;
    lost[POLICY] -= (double)weight * credits * (cuts ? within : ratio);
    return cuts ? 0.0f : -weight * credits * ratio;
}

/* The losses of what is said in one sample; what is said is replaced by its gradient. */
INLINE void judge(group *g, long place, float *said) {
    const network *net = &g->of->net;
    const rollout *seen = &g->of->seen;
    const objective *aim = &g->of->aim;
    long actions = net->actions, words = across(net), action = seen->actions[place];
    const uint8_t *mask = seen->mask + place * actions;
    float *logarithms = g->words, *shares = g->words + words;
    float weight = seen->weights[place] / g->credits.total;
    for (long word = 0; word < words; word++)
        logarithms[word] = word >= actions ? -INFINITY : mask[word] ? said[word] : net->masked;
    probabilities(logarithms, shares, words);
    float credits = (seen->advantages[place] - g->credits.mean) * g->credits.scale;
    float then = seen->log_probabilities[place];
    float slope = policy_slope(aim, g->lost, credits, weight, logarithms[action], then), entropy = 0;
    for (long word = 0; word < actions; word++) entropy -= shares[word] * logarithms[word];
    g->lost[ENTROPY] += (double)weight * entropy;
    float error = said[actions] - seen->targets[place];
    g->lost[VALUE] += (double)weight * error * error;
    said[actions] = 2 * aim->value * weight * error;
    if (net->said > actions + 1) {
        float missed = said[actions + 1 + action] - seen->rewards[place];
        g->lost[AUXILIARY] += (double)weight * missed * missed;
        memset(said + actions + 1, 0, actions * sizeof(float));
        said[actions + 1 + action] = 2 * aim->auxiliary * weight * missed;
    }
    for (long word = 0; word < actions; word++) {
        float towards = weight * aim->entropy * shares[word] * (logarithms[word] + entropy) - slope * shares[word];
        said[word] = mask[word] ? towards + (word == action ? slope : 0) : 0.0f;
    }
}

/* Let the heads speak in one sample, judge it, and add to the gradients of the heads. */
INLINE void judge_sample(group *g, const float *panels, long place, long sample) {
    const network *net = &g->of->net;
    long units = net->units, words = across(net);
    const float *hidden = g->outputs + (g->count + sample) * units;
    float *said = g->of_said + sample * words;
    speak(net, panels, hidden, said);
    judge(g, place, said);
    for (long word = 0; word < net->said; word++)
        for (long unit = 0; unit < units; unit += LANES) {
            float *to = g->of_heads + word * units + unit;
            store(to, load(to) + load(hidden + unit) * said[word]);
        }
    for (long word = 0; word < words; word += LANES)
        store(g->of_biases + word, load(g->of_biases + word) + load(said + word));
}

/* What the gradient of what is said in one sample adds to that of its hidden units. */
INLINE void hand_back(const group *g, const float *of_said, float *of_hidden) {
    const network *net = &g->of->net;
    long units = net->units;
    for (long word = 0; word < net->said; word++) {
        if (word == net->actions && !g->of->aim.value_shapes_memory) continue;
        for (long unit = 0; unit < units; unit += LANES)
            store(of_hidden + unit, load(of_hidden + unit) + load(net->heads + word * units + unit) * of_said[word]);
    }
}

#endif
