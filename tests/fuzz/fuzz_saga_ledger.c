/* A ledger's text.  What a line says, written anew, says the same; and a list of events answers for
 * every saga it has. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "saga/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);

static void round_trip(const struct saga_ledger_event *event)
{
    static const char *const names[] = { "begin", "effect", "answer" };
    char key[SAGA_EFFECT_KEY_BYTES], line[256];
    struct saga_ledger_event again = *event;
    saga_effect_key_print(event->saga, event->step, event->direction, key);
    int len =
        snprintf(line, sizeof line, "{\"t\":%lld,\"event\":\"%s\",\"key\":\"%s\",\"epoch\":%llu}",
                 (long long)event->t_ns, names[event->kind], key, (unsigned long long)event->epoch);
    urd_err err = saga_ledger_decode(line, (size_t)len, &again);
    assert(err == URD_OK || err == URD_E_NOMEM);
    assert(again.t_ns == event->t_ns && again.step == event->step && again.kind == event->kind &&
           again.direction == event->direction && again.epoch == event->epoch &&
           memcmp(again.saga, event->saga, sizeof again.saga) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    struct saga_ledgers ledgers = SAGA_LEDGERS_INIT;
    if (saga_ledgers_add(&ledgers, (const char *)bytes, bytes_len) == URD_OK) {
        for (size_t i = 0; i < ledgers.events_len; i++) {
            struct saga_ledger_event event = ledgers.events[i];
            size_t len;
            round_trip(&event);
            const struct saga_ledger_event *of = saga_ledgers_of(&ledgers, event.saga, &len);
            assert(len > 0 && memcmp(of->saga, event.saga, sizeof of->saga) == 0);
        }
    }
    saga_ledgers_done(&ledgers);
    return 0;
}
