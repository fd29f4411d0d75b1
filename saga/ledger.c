/* Reading ledgers: the one decoder of their lines, and the list that checkers ask. */
#include "saga/ledger.h"

#include <stdlib.h>
#include <string.h>

#include "saga/json.h"

static bool event_from_name(const char *name, enum saga_ledger_event_kind *ret)
{
    static const char *const names[] = { "begin", "effect", "answer" };
    for (unsigned i = 0; name != NULL && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *ret = (enum saga_ledger_event_kind)i;
        return true;
    }
    return false;
}

/* What is said beside the key must not say otherwise. */
static bool agrees(const json_t *line, const struct saga_ledger_event *event)
{
    uint8_t id[SAGA_ID_BYTES];
    const json_t *saga = json_object_get(line, "saga");
    const json_t *direction = json_object_get(line, "direction");
    if (saga != NULL && (!json_is_string(saga) || !saga_id_parse(json_string_value(saga), id) ||
                         memcmp(id, event->saga, sizeof id) != 0))
        return false;
    return direction == NULL ||
           (json_is_string(direction) &&
            strcmp(json_string_value(direction), event->direction == SAGA_DO ? "do" : "undo") == 0);
}

static bool read_event(const json_t *line, struct saga_ledger_event *ret)
{
    const json_t *t = json_object_get(line, "t"), *epoch = json_object_get(line, "epoch");
    const char *key = json_string_value(json_object_get(line, "key"));
    if (!event_from_name(json_string_value(json_object_get(line, "event")), &ret->kind))
        return false;
    if (key == NULL || !saga_effect_key_parse(key, ret->saga, &ret->step, &ret->direction))
        return false;
    if (!json_is_integer(t) || json_integer_value(t) < 0) return false;
    ret->t_ns = json_integer_value(t);
    if (epoch == NULL && ret->kind == SAGA_LEDGER_ANSWER)
        ret->epoch = 0;
    else if (json_is_integer(epoch) && json_integer_value(epoch) >= 0)
        ret->epoch = (uint64_t)json_integer_value(epoch);
    else
        return false;
    return agrees(line, ret);
}

urd_err saga_ledger_decode(const char *line, size_t line_len, struct saga_ledger_event *ret_event)
{
    struct saga_ledger_event event = *ret_event;
    json_t *json;
    urd_err err = saga_json_decode(line, line_len, SAGA_LEDGER_LINE_BYTES_MAX, &json, NULL, 0);
    if (err != URD_OK) return err;
    bool good = read_event(json, &event);
    json_decref(json);
    if (!good) return URD_E_INVALID;
    *ret_event = event;
    return URD_OK;
}

/* --- the list --------------------------------------------------------------------------------- */

void saga_ledgers_done(struct saga_ledgers *ledgers)
{
    free(ledgers->events);
    *ledgers = SAGA_LEDGERS_INIT;
}

static urd_err make_room(struct saga_ledgers *ledgers)
{
    if (ledgers->events_len < ledgers->events_room) return URD_OK;
    size_t room = ledgers->events_room == 0 ? 256 : 2 * ledgers->events_room;
    struct saga_ledger_event *grown = realloc(ledgers->events, room * sizeof grown[0]);
    if (grown == NULL) return URD_E_NOMEM;
    ledgers->events = grown;
    ledgers->events_room = room;
    return URD_OK;
}

urd_err saga_ledgers_add(struct saga_ledgers *ledgers, const char *text, size_t text_len)
{
    const char *newline;
    struct saga_ledger_event event = { .ledger = ledgers->ledgers };
    ledgers->ledgers++;
    ledgers->sorted = false;
    for (size_t at = 0; at < text_len; at = (size_t)(newline - text) + 1) {
        newline = memchr(text + at, '\n', text_len - at);
        if (newline == NULL) break;
        event.line++;
        urd_err err = saga_ledger_decode(text + at, (size_t)(newline - text) - at, &event);
        if (err == URD_E_NOMEM) return err;
        if (err != URD_OK) {
            ledgers->lines_damaged++;
            continue;
        }
        err = make_room(ledgers);
        if (err != URD_OK) return err;
        ledgers->events[ledgers->events_len++] = event;
    }
    return URD_OK;
}

static int order(const void *a, const void *b)
{
    const struct saga_ledger_event *x = a, *y = b;
    int sagas = memcmp(x->saga, y->saga, sizeof x->saga);
    if (sagas != 0) return sagas;
    if (x->ledger != y->ledger) return x->ledger < y->ledger ? -1 : 1;
    return (x->line > y->line) - (x->line < y->line);
}

void saga_ledgers_sort(struct saga_ledgers *ledgers)
{
    if (!ledgers->sorted && ledgers->events_len > 0)
        qsort(ledgers->events, ledgers->events_len, sizeof ledgers->events[0], order);
    ledgers->sorted = true;
}

const struct saga_ledger_event *saga_ledgers_of(struct saga_ledgers *ledgers,
                                                const uint8_t id[SAGA_ID_BYTES], size_t *ret_len)
{
    size_t low = 0, high = ledgers->events_len, len = 0;
    saga_ledgers_sort(ledgers);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(ledgers->events[middle].saga, id, SAGA_ID_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    while (low + len < ledgers->events_len &&
           memcmp(ledgers->events[low + len].saga, id, SAGA_ID_BYTES) == 0)
        len++;
    *ret_len = len;
    return ledgers->events + low;
}
