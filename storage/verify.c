/* Walking the whole store: every value against its checksum, every journal record by itself. */
#include <stdio.h>

#include "storage/journal.h"
#include "storage/kv_internal.h"
#include "storage/value.h"

struct verify {
    void (*visit)(void *arg, const struct storage_flaw *flaw);
    void *arg;
    struct storage_verify_result result;
};

static void on_flaw(void *arg, const struct storage_flaw *flaw)
{
    struct verify *verify = arg;
    verify->result.flaws++;
    if (verify->visit != NULL) verify->visit(verify->arg, flaw);
}

static urd_err count_record(void *arg, const struct storage_record *record)
{
    struct verify *verify = arg;
    (void)record;
    verify->result.journal_records++;
    return URD_OK;
}

static void check_item(struct verify *verify, const struct storage_item *item)
{
    char name[160], sentence[STORAGE_ERRMSG_BYTES_MAX];
    struct storage_value value;
    verify->result.items++;
    verify->result.bytes += item->key_len + item->value.len;
    urd_err err = storage_value_open(item->key, item->key_len, item->value, &value);
    if (err == URD_OK) return;
    storage_key_print(item->key, item->key_len, name, sizeof name);
    snprintf(sentence, sizeof sentence, "%s: %s", name, urd_err_text(err));
    on_flaw(verify,
            &(struct storage_flaw){
                .err = err, .key = item->key, .key_len = item->key_len, .sentence = sentence });
}

urd_err storage_verify(struct storage_snapshot *snapshot,
                       void (*visit)(void *arg, const struct storage_flaw *flaw), void *arg,
                       struct storage_verify_result *ret)
{
    struct verify verify = { .visit = visit, .arg = arg };
    struct storage_cursor *cursor;
    struct storage_item item;
    urd_err err = storage_view_range(&snapshot->view, NULL, true, &cursor);
    if (err != URD_OK) return err;
    while ((err = storage_cursor_next(cursor, &item)) == URD_OK)
        check_item(&verify, &item);
    storage_cursor_close(cursor);
    if (err != URD_E_NOT_FOUND) return err;

    err = storage_journal_walk(snapshot, 0, count_record, on_flaw, &verify);
    if (err == URD_OK) *ret = verify.result;
    return err;
}
