/* A journal in a file: magic 8, manifest digest 32, then records of 40 bytes: block 32, digest,
 * check 32 (the first bytes of BLAKE2b over the manifest digest, the place in the file and the
 * record, so that a record of another transfer or from elsewhere in the file does not pass). */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "fountain/transfer/files.h"
#include "fountain/transfer/wire_internal.h"

#define MAGIC      "URDJRN1\n"
#define HEADER_LEN 40u
#define RECORD_LEN 40u
#define CHECK_LEN  4u

struct urd_fountain_file_journal {
    struct urd_file *file;
    uint8_t manifest[URD_FOUNTAIN_DIGEST_LEN];
    uint64_t end; /* where the next record goes */
    struct urd_fountain_journal table;
};

static void record_check(const struct urd_fountain_file_journal *journal, uint64_t place,
                         const uint8_t *record, uint8_t ret[static CHECK_LEN])
{
    uint8_t place_be[8], digest[crypto_generichash_BYTES_MIN];
    struct wire_writer w = { .bytes = place_be, .cap = sizeof place_be };
    wire_put_uint(&w, place, 8);
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof digest);
    crypto_generichash_update(&state, journal->manifest, sizeof journal->manifest);
    crypto_generichash_update(&state, place_be, sizeof place_be);
    crypto_generichash_update(&state, record, RECORD_LEN - CHECK_LEN);
    crypto_generichash_final(&state, digest, sizeof digest);
    memcpy(ret, digest, CHECK_LEN);
}

static urd_err journal_append(void *impl, struct urd_cx *cx,
                              const struct urd_fountain_finished *blocks, uint32_t count)
{
    struct urd_fountain_file_journal *journal = impl;
    size_t len = (size_t)count * RECORD_LEN;
    struct wire_writer w = { .bytes = malloc(len + 1), .cap = len };
    if (w.bytes == NULL) return URD_E_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *record = w.bytes + w.len;
        uint8_t check[CHECK_LEN];
        uint64_t place = journal->end + w.len;
        wire_put_uint(&w, blocks[i].block, 4);
        wire_put(&w, blocks[i].digest, URD_FOUNTAIN_DIGEST_LEN);
        record_check(journal, place, record, check);
        wire_put(&w, check, CHECK_LEN);
    }
    urd_err err = urd_file_write(cx, journal->file, journal->end, w.bytes, len);
    if (err == URD_OK) err = urd_file_sync(cx, journal->file);
    if (err == URD_OK) journal->end += len;
    free(w.bytes);
    return err;
}

static urd_err manifest_digest(const struct urd_fountain_manifest *manifest,
                               uint8_t ret[static URD_FOUNTAIN_DIGEST_LEN])
{
    uint8_t *bytes;
    size_t len;
    urd_err err = urd_fountain_manifest_encode(manifest, &bytes, &len);
    if (err != URD_OK) return err;
    crypto_generichash(ret, URD_FOUNTAIN_DIGEST_LEN, bytes, len, NULL, 0);
    free(bytes);
    return URD_OK;
}

/* Records from the start until one does not check: @ret (room for all), their number. */
static uint32_t records_take(struct urd_fountain_file_journal *journal, uint32_t blocks,
                             const uint8_t *bytes, size_t len, struct urd_fountain_finished *ret)
{
    uint32_t count = 0;
    while (len - journal->end >= RECORD_LEN) {
        struct wire_reader r = { .bytes = bytes + journal->end, .len = RECORD_LEN };
        uint8_t check[CHECK_LEN];
        record_check(journal, journal->end, r.bytes, check);
        if (memcmp(check, r.bytes + RECORD_LEN - CHECK_LEN, CHECK_LEN) != 0) break;
        ret[count].block = (uint32_t)wire_take_uint(&r, 4);
        if (ret[count].block >= blocks) break;
        memcpy(ret[count].digest, r.bytes + 4, URD_FOUNTAIN_DIGEST_LEN);
        count++;
        journal->end += RECORD_LEN;
    }
    return count;
}

/* Read what an earlier session left; a journal of another manifest, or none, is begun anew. */
static urd_err journal_load(struct urd_cx *cx, struct urd_fountain_file_journal *journal,
                            uint32_t blocks, struct urd_fountain_finished **ret,
                            uint32_t *ret_count)
{
    struct urd_file_info info;
    urd_err err = urd_file_info(cx, journal->file, &info);
    if (err != URD_OK) return err;
    /* a block may be journalled several times, but not without end */
    size_t most = HEADER_LEN + (size_t)RECORD_LEN * 4 * (blocks + 1);
    size_t len = info.size_bytes < most ? (size_t)info.size_bytes : most;
    uint8_t *bytes = malloc(len + 1), header[HEADER_LEN];
    struct urd_fountain_finished *finished = calloc(len / RECORD_LEN + 1, sizeof *finished);
    memcpy(header, MAGIC, 8);
    memcpy(header + 8, journal->manifest, URD_FOUNTAIN_DIGEST_LEN);
    err = bytes == NULL || finished == NULL ? URD_E_NOMEM : URD_OK;
    if (err == URD_OK) err = urd_file_read(cx, journal->file, 0, bytes, len, &len);
    journal->end = HEADER_LEN;
    if (err == URD_OK && len >= HEADER_LEN && memcmp(bytes, header, HEADER_LEN) == 0) {
        *ret_count = records_take(journal, blocks, bytes, len, finished);
    } else if (err == URD_OK) {
        *ret_count = 0;
        err = urd_file_truncate(cx, journal->file, 0);
        if (err == URD_OK) err = urd_file_write(cx, journal->file, 0, header, HEADER_LEN);
    }
    if (err == URD_OK) err = urd_file_truncate(cx, journal->file, journal->end); /* a torn tail */
    free(bytes);
    if (err != URD_OK) {
        free(finished);
        return err;
    }
    *ret = finished;
    return URD_OK;
}

urd_err urd_fountain_file_journal_open(struct urd_cx *cx, struct urd_dir *dir, const char *path,
                                       const struct urd_fountain_manifest *manifest,
                                       struct urd_fountain_file_journal **ret,
                                       struct urd_fountain_finished **ret_finished,
                                       uint32_t *ret_finished_count)
{
    struct urd_fountain_file_journal *journal = calloc(1, sizeof *journal);
    if (journal == NULL) return URD_E_NOMEM;
    journal->table = (struct urd_fountain_journal){ .append = journal_append, .impl = journal };
    urd_err err = manifest_digest(manifest, journal->manifest);
    if (err == URD_OK)
        err = urd_file_open(cx, dir, path, URD_OPEN_READ | URD_OPEN_WRITE | URD_OPEN_CREATE, 0600,
                            &journal->file);
    if (err == URD_OK)
        err = journal_load(cx, journal, manifest->layout.blocks, ret_finished, ret_finished_count);
    if (err != URD_OK) {
        urd_fountain_file_journal_close(journal);
        return err;
    }
    *ret = journal;
    return URD_OK;
}

const struct urd_fountain_journal *
urd_fountain_file_journal_table(struct urd_fountain_file_journal *journal)
{
    return &journal->table;
}

void urd_fountain_file_journal_close(struct urd_fountain_file_journal *journal)
{
    if (journal == NULL) return;
    urd_file_close(journal->file);
    free(journal);
}
