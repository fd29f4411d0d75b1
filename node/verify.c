/* A store held against everything that can be said of it: each checksum (storage), each saga's
 * journal and the participants' ledgers (saga/check.h). */
#include <inttypes.h>
#include <stdlib.h>

#include "node/node_internal.h"
#include "runtime/blocking.h"
#include "saga/check.h"
#include "saga/records.h"
#include "storage/journal.h"

#define FOUND_MAX 100u

struct walk {
    const struct node_verify *options;
    struct storage_snapshot *snapshot;
    struct storage_verify_result result;
    struct saga_check_summary sagas;
    json_t *found;
    urd_err err;
};

static void note(struct walk *walk, json_t *what)
{
    if (json_array_size(walk->found) < FOUND_MAX)
        (void)json_array_append_new(walk->found, what);
    else
        json_decref(what);
}

static void note_flaw(void *arg, const struct storage_flaw *flaw)
{
    note(arg, json_pack("{s:s, s:s}", "code", urd_err_name(flaw->err), "message", flaw->sentence));
}

static void note_breach(void *arg, const struct saga_breach *breach)
{
    note(arg, json_pack("{s:s, s:s, s:s}", "rule", breach->rule, "saga", breach->saga, "message",
                        breach->sentence));
}

/* One record as a line: what `urd saga history` says of it, and whose it is. */
static urd_err tell_record(void *arg, const struct storage_record *stored)
{
    const struct walk *walk = arg;
    char id[SAGA_ID_TEXT_BYTES];
    struct saga_record record;
    if (saga_record_decode(stored->kind, stored->payload, stored->payload_len, &record) != URD_OK)
        return URD_OK; /* the check names it */
    json_t *json = saga_record_json(&record, stored->seq, NULL);
    saga_record_done(&record);
    saga_id_print(stored->saga_id, id);
    if (json == NULL || json_object_set_new(json, "saga", json_string(id)) != 0) {
        json_decref(json);
        return URD_E_NOMEM;
    }
    char *line = json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(json);
    if (line == NULL) return URD_E_NOMEM;
    walk->options->record(walk->options->record_arg, line);
    free(line);
    return URD_OK;
}

static void run(void *arg)
{
    struct walk *walk = arg;
    struct saga_check_options options = { .ledgers = walk->options->ledgers,
                                          .require_ends = walk->options->require_ends,
                                          .report = note_breach,
                                          .report_arg = walk };
    if (walk->options->record != NULL)
        walk->err = storage_journal_walk(walk->snapshot, 0, tell_record, NULL, walk);
    if (walk->err == URD_OK)
        walk->err = storage_verify(walk->snapshot, note_flaw, walk, &walk->result);
    if (walk->err == URD_OK) walk->err = saga_check_run(walk->snapshot, &options, &walk->sagas);
}

urd_err node_verify_store(struct urd_cx *cx, struct storage *store,
                          const struct node_verify *options, json_t **ret, bool *ret_sound)
{
    struct walk walk = { .options = options, .found = json_array() };
    if (walk.found == NULL) return URD_E_NOMEM;
    urd_err err = storage_snapshot_begin(store, "verify", urd_cx_now(cx), &walk.snapshot);
    if (err == URD_OK) {
        err = urd_blocking(cx, run, &walk);
        storage_snapshot_end(walk.snapshot);
        if (err == URD_OK) err = walk.err;
    }
    json_t *report = NULL;
    if (err == URD_OK) {
        report = json_pack(
            "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:O}", "items",
            (json_int_t)walk.result.items, "journal_records",
            (json_int_t)walk.result.journal_records, "sagas", (json_int_t)walk.sagas.sagas,
            "committed", (json_int_t)walk.sagas.committed, "compensated",
            (json_int_t)walk.sagas.compensated, "stuck", (json_int_t)walk.sagas.stuck, "open",
            (json_int_t)walk.sagas.open, "ledger_events", (json_int_t)walk.sagas.events, "flaws",
            (json_int_t)walk.result.flaws, "breaches", (json_int_t)walk.sagas.breaches, "found",
            walk.found);
        if (report == NULL) err = URD_E_NOMEM;
    }
    json_decref(walk.found);
    if (err != URD_OK) return err;
    *ret = report;
    *ret_sound = walk.result.flaws == 0 && walk.sagas.breaches == 0;
    return URD_OK;
}
