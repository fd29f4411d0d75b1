/* `urd fountain encode|decode|info`: the codec alone, over a container of encoding symbols
 * (container.h). */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/commands_internal.h"
#include "client/container.h"
#include "client/local.h"
#include "client/units.h"

enum {
    SYMBOL_BYTES_DEFAULT = 1280,
    BLOCK_BYTES = 8 << 20, /* what one source block aims at; larger objects have larger blocks */
    READ_RECORDS = 512     /* read from a container at once */
};
#define DECODE_MEMORY_MAX (UINT64_C(4) << 30)

struct stream { /* a file written or read in one direction */
    struct client_local local;
    struct urd_file *file;
    uint64_t at;
};

static urd_err stream_open(struct urd_cx *cx, const char *path, unsigned flags, struct stream *ret)
{
    struct stream s = { 0 };
    urd_err err = client_local_open(cx, path, &s.local);
    if (err != URD_OK) return err;
    err = urd_file_open(cx, s.local.dir, s.local.name, flags, 0644, &s.file);
    if (err != URD_OK) {
        client_local_done(&s.local);
        return err;
    }
    *ret = s;
    return URD_OK;
}

static void stream_done(struct stream *s)
{
    urd_file_close(s->file);
    client_local_done(&s->local);
}

static urd_err stream_write(struct urd_cx *cx, struct stream *s, const void *bytes, size_t len)
{
    urd_err err = urd_file_write(cx, s->file, s->at, bytes, len);
    if (err == URD_OK) s->at += len;
    return err;
}

/* An OTI with one sub-block and blocks of about BLOCK_BYTES, as few as a byte can number. */
static urd_err choose_oti(uint64_t size_bytes, uint64_t symbol_bytes, struct urd_fountain_oti *ret)
{
    if (size_bytes == 0 || symbol_bytes == 0 || symbol_bytes > URD_FOUNTAIN_T_MAX)
        return URD_E_INVALID;
    uint64_t blocks = (size_bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
    if (blocks > URD_FOUNTAIN_Z_MAX) blocks = URD_FOUNTAIN_Z_MAX;
    struct urd_fountain_oti oti = {
        .F = size_bytes, .T = (uint16_t)symbol_bytes, .Z = (uint8_t)blocks, .N = 1, .Al = 1
    };
    urd_err err = urd_fountain_oti_validate(&oti);
    if (err == URD_OK) *ret = oti;
    return err;
}

static bool parse_percent(const char *text, uint64_t *ret)
{
    char digits[16];
    size_t len = strlen(text);
    if (len < 2 || len > sizeof digits || text[len - 1] != '%') return false;
    memcpy(digits, text, len - 1);
    digits[len - 1] = '\0';
    return client_parse_count(digits, 10000, ret);
}

/* Write block @sbn, read to @source (K*T bytes): its source symbols, then @percent repair symbols,
 * rounded up. */
static urd_err write_block(struct urd_cx *cx, struct stream *out,
                           const struct urd_fountain_oti *oti, uint8_t sbn,
                           const struct urd_fountain_block *block, const uint8_t *source,
                           uint64_t percent)
{
    struct urd_fountain_encoder *encoder;
    size_t record_bytes = CLIENT_CONTAINER_RECORD_BYTES + oti->T;
    uint8_t *records = malloc(READ_RECORDS * record_bytes);
    if (records == NULL) return URD_E_NOMEM;
    urd_err err = urd_fountain_encoder_new(block->K, oti->T, source, NULL, &encoder);
    if (err != URD_OK) goto fail_records;

    uint64_t count = block->K + (block->K * percent + 99) / 100;
    for (uint64_t esi = 0; esi < count && err == URD_OK;) {
        uint64_t n = count - esi < READ_RECORDS ? count - esi : READ_RECORDS;
        for (uint64_t i = 0; i < n && err == URD_OK; i++, esi++) {
            uint8_t *record = records + i * record_bytes;
            uint8_t *symbol = record + CLIENT_CONTAINER_RECORD_BYTES;
            err = urd_fountain_encoder_symbol(encoder, (uint32_t)esi, symbol);
            if (err == URD_OK) client_record_encode(sbn, (uint32_t)esi, symbol, oti->T, record);
        }
        if (err == URD_OK) err = stream_write(cx, out, records, n * record_bytes);
    }
    urd_fountain_encoder_free(encoder);
fail_records:
    free(records);
    return err;
}

/* Read block @sbn to *@ret (K*T bytes, zero-padded; grown as needed) and put it into @hash. */
static urd_err read_block(struct urd_cx *cx, struct stream *in, const struct urd_fountain_oti *oti,
                          uint8_t sbn, struct urd_fountain_block *ret_block, uint8_t *source,
                          crypto_generichash_state *hash)
{
    size_t len;
    urd_err err = urd_fountain_block_of(oti, sbn, ret_block);
    if (err != URD_OK) return err;
    err = urd_file_read(cx, in->file, ret_block->offset, source, ret_block->len, &len);
    if (err != URD_OK) return err;
    if (len != ret_block->len) return URD_E_CHANGED;
    memset(source + len, 0, (size_t)ret_block->K * oti->T - len);
    (void)crypto_generichash_update(hash, source, len);
    return URD_OK;
}

static urd_err encode_blocks(struct urd_cx *cx, struct stream *in, struct stream *out,
                             struct client_container *container, uint64_t percent)
{
    const struct urd_fountain_oti *oti = &container->oti;
    uint8_t header[CLIENT_CONTAINER_HEADER_BYTES];
    struct urd_fountain_block block;
    crypto_generichash_state hash;
    urd_err err = urd_fountain_block_of(oti, 0, &block); /* the first is the largest */
    if (err != URD_OK) return err;
    uint8_t *source = malloc((size_t)block.K * oti->T);
    if (source == NULL) return URD_E_NOMEM;

    (void)crypto_generichash_init(&hash, NULL, 0, sizeof container->digest);
    out->at = sizeof header; /* written last: until then this is no container */
    for (unsigned sbn = 0; sbn < oti->Z && err == URD_OK; sbn++) {
        err = read_block(cx, in, oti, (uint8_t)sbn, &block, source, &hash);
        if (err == URD_OK) err = write_block(cx, out, oti, (uint8_t)sbn, &block, source, percent);
    }
    (void)crypto_generichash_final(&hash, container->digest, sizeof container->digest);
    client_container_encode(container, header);
    if (err == URD_OK) err = urd_file_write(cx, out->file, 0, header, sizeof header);
    if (err == URD_OK) err = urd_file_sync(cx, out->file);
    free(source);
    return err;
}

int client_run_fountain_encode(struct urd_cx *cx, const struct client_invocation *inv)
{
    struct stream in, out;
    struct urd_file_info info;
    struct client_container container = { 0 };
    uint64_t percent = 10;
    char why[256] = "";
    if (!parse_percent(client_text(inv, "repair", "10%"), &percent)) {
        (void)fprintf(stderr, "urd: --repair wants a percentage, as 10%%\n");
        return CLIENT_EXIT_USAGE;
    }
    urd_err err = stream_open(cx, inv->args[0], URD_OPEN_READ, &in);
    if (err != URD_OK) {
        (void)snprintf(why, sizeof why, "%.200s: %s", inv->args[0], urd_err_text(err));
        return client_fail(inv, err, why);
    }
    err = urd_file_info(cx, in.file, &info);
    if (err == URD_OK)
        err = choose_oti(info.size_bytes, client_number(inv, "symbol-size", SYMBOL_BYTES_DEFAULT),
                         &container.oti);
    if (err != URD_OK) {
        (void)snprintf(why, sizeof why,
                       "%.160s: %" PRIu64 " bytes cannot be encoded with this symbol size",
                       inv->args[0], info.size_bytes);
        goto fail_in;
    }
    err = stream_open(cx, inv->args[1], URD_OPEN_WRITE | URD_OPEN_CREATE | URD_OPEN_TRUNCATE, &out);
    if (err == URD_OK) {
        err = encode_blocks(cx, &in, &out, &container, percent);
        stream_done(&out);
    }
    if (err != URD_OK)
        (void)snprintf(why, sizeof why, "%.200s: %s", inv->args[1], urd_err_text(err));
fail_in:
    stream_done(&in);
    if (err != URD_OK) return client_fail(inv, err, why);
    if (inv->json)
        client_print_json(json_pack("{sIsisisI}", "bytes", (json_int_t)container.oti.F,
                                    "symbol_size", container.oti.T, "blocks", container.oti.Z,
                                    "written", (json_int_t)out.at));
    return CLIENT_EXIT_DONE;
}

struct tally { /* what a walk over a container met */
    uint64_t symbols, damaged;
};

/* Give every sound symbol of @in to @take until it has enough (*@done) or the file ends. */
static urd_err walk(struct urd_cx *cx, struct stream *in, const struct urd_fountain_oti *oti,
                    urd_err (*take)(struct urd_cx *cx, void *arg, uint8_t sbn, uint32_t esi,
                                    const uint8_t *symbol),
                    void *arg, const bool *done, struct tally *tally)
{
    size_t record_bytes = CLIENT_CONTAINER_RECORD_BYTES + oti->T;
    uint8_t *records = malloc(READ_RECORDS * record_bytes);
    if (records == NULL) return URD_E_NOMEM;
    urd_err err = URD_OK;
    for (in->at = CLIENT_CONTAINER_HEADER_BYTES; err == URD_OK && !*done;) {
        size_t len;
        err = urd_file_read(cx, in->file, in->at, records, READ_RECORDS * record_bytes, &len);
        if (err != URD_OK || len < record_bytes) break;
        in->at += len / record_bytes * record_bytes;
        for (size_t i = 0; i < len / record_bytes && err == URD_OK && !*done; i++) {
            uint8_t sbn = 0;
            uint32_t esi = 0;
            tally->symbols++;
            if (client_record_parse(records + i * record_bytes, oti->T, &sbn, &esi) != URD_OK ||
                sbn >= oti->Z)
                tally->damaged++;
            else
                err = take(cx, arg, sbn, esi,
                           records + i * record_bytes + CLIENT_CONTAINER_RECORD_BYTES);
        }
    }
    free(records);
    return err;
}

static urd_err open_container(struct urd_cx *cx, const char *path, struct stream *ret_in,
                              struct client_container *ret)
{
    uint8_t header[CLIENT_CONTAINER_HEADER_BYTES];
    size_t len;
    urd_err err = stream_open(cx, path, URD_OPEN_READ, ret_in);
    if (err != URD_OK) return err;
    err = urd_file_read(cx, ret_in->file, 0, header, sizeof header, &len);
    if (err == URD_OK) err = client_container_parse(header, len, ret);
    if (err != URD_OK) stream_done(ret_in);
    return err;
}

struct decoding {
    struct urd_fountain_object_decoder *decoder;
    const struct urd_fountain_oti *oti;
    struct stream out;
    bool done;
};

static urd_err take_symbol(struct urd_cx *cx, void *arg, uint8_t sbn, uint32_t esi,
                           const uint8_t *symbol)
{
    struct decoding *d = arg;
    struct urd_fountain_block block;
    if (urd_fountain_object_decoder_missing(d->decoder, sbn) == 0) return URD_OK;
    urd_err err = urd_fountain_object_decoder_add(d->decoder, sbn, esi, symbol, d->oti->T);
    if (err != URD_OK || urd_fountain_object_decoder_missing(d->decoder, sbn) > 0) return err;

    err = urd_fountain_block_of(d->oti, sbn, &block);
    if (err != URD_OK) return err;
    uint8_t *bytes = malloc(block.len);
    if (bytes == NULL) return URD_E_NOMEM;
    err = urd_fountain_object_decoder_read(d->decoder, sbn, bytes, block.len);
    if (err == URD_OK) err = urd_file_write(cx, d->out.file, block.offset, bytes, block.len);
    if (err == URD_OK) err = urd_fountain_object_decoder_drop(d->decoder, sbn);
    free(bytes);
    d->done = urd_fountain_object_decoder_complete(d->decoder);
    return err;
}

/* The digest of what was written must be the container's. */
static urd_err check_digest(struct urd_cx *cx, struct urd_file *file,
                            const struct client_container *container)
{
    enum { CHUNK = 1 << 20 };
    uint8_t digest[CLIENT_CONTAINER_DIGEST_BYTES];
    crypto_generichash_state hash;
    uint8_t *bytes = malloc(CHUNK);
    if (bytes == NULL) return URD_E_NOMEM;
    (void)crypto_generichash_init(&hash, NULL, 0, sizeof digest);
    urd_err err = URD_OK;
    for (uint64_t at = 0; err == URD_OK && at < container->oti.F;) {
        size_t len;
        err = urd_file_read(cx, file, at, bytes, CHUNK, &len);
        if (err == URD_OK && len == 0) err = URD_E_SHORT;
        (void)crypto_generichash_update(&hash, bytes, len);
        at += len;
    }
    free(bytes);
    if (err != URD_OK) return err;
    (void)crypto_generichash_final(&hash, digest, sizeof digest);
    return memcmp(digest, container->digest, sizeof digest) == 0 ? URD_OK : URD_E_CORRUPT;
}

/* Decode into "NAME.part", check, rename: what stands under the name is right. */
static urd_err decode_to(struct urd_cx *cx, struct stream *in,
                         const struct client_container *container, const char *path,
                         struct tally *tally)
{
    struct decoding d = { .oti = &container->oti };
    char part[URD_PATH_MAX];
    if (snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part) return URD_E_INVALID;
    urd_err err = urd_fountain_object_decoder_new(&container->oti, DECODE_MEMORY_MAX, &d.decoder);
    if (err != URD_OK) return err;
    err = stream_open(cx, part,
                      URD_OPEN_READ | URD_OPEN_WRITE | URD_OPEN_CREATE | URD_OPEN_TRUNCATE, &d.out);
    if (err != URD_OK) goto fail_decoder;

    err = walk(cx, in, &container->oti, take_symbol, &d, &d.done, tally);
    if (err == URD_OK && !d.done) err = URD_E_SHORT;
    if (err == URD_OK) err = check_digest(cx, d.out.file, container);
    if (err == URD_OK) err = urd_file_sync(cx, d.out.file);
    if (err == URD_OK) {
        char name[256];
        memcpy(name, d.out.local.name, sizeof name);
        name[strlen(name) - strlen(".part")] = '\0';
        err = urd_file_rename(cx, d.out.local.dir, d.out.local.name, d.out.local.dir, name);
    } else {
        (void)!urd_file_unlink(cx, d.out.local.dir, d.out.local.name);
    }
    stream_done(&d.out);
fail_decoder:
    urd_fountain_object_decoder_free(d.decoder);
    return err;
}

int client_run_fountain_decode(struct urd_cx *cx, const struct client_invocation *inv)
{
    struct stream in;
    struct client_container container;
    struct tally tally = { 0 };
    char why[256];
    urd_err err = open_container(cx, inv->args[0], &in, &container);
    if (err != URD_OK) {
        (void)snprintf(why, sizeof why, "%.200s: no container of symbols: %s", inv->args[0],
                       urd_err_text(err));
        return client_fail(inv, err, why);
    }
    err = decode_to(cx, &in, &container, inv->args[1], &tally);
    stream_done(&in);
    if (err == URD_E_SHORT) {
        (void)snprintf(why, sizeof why,
                       "%.160s: %" PRIu64 " symbols, %" PRIu64 " damaged: not enough to decode",
                       inv->args[0], tally.symbols, tally.damaged);
        return client_fail(inv, err, why);
    }
    if (err != URD_OK) return client_fail(inv, err, NULL);
    if (inv->json)
        client_print_json(json_pack("{sIsIsI}", "bytes", (json_int_t)container.oti.F,
                                    "symbols_read", (json_int_t)tally.symbols, "damaged",
                                    (json_int_t)tally.damaged));
    return CLIENT_EXIT_DONE;
}

static urd_err count_symbol(struct urd_cx *cx, void *arg, uint8_t sbn, uint32_t esi,
                            const uint8_t *symbol)
{
    (void)cx;
    (void)esi;
    (void)symbol;
    uint64_t *counts = arg;
    counts[sbn]++;
    return URD_OK;
}

int client_run_fountain_info(struct urd_cx *cx, const struct client_invocation *inv)
{
    struct stream in;
    struct client_container container;
    struct tally tally = { 0 };
    uint64_t counts[URD_FOUNTAIN_Z_MAX + 1] = { 0 };
    const bool never = false;
    char why[256], digest[2 * CLIENT_CONTAINER_DIGEST_BYTES + 1];
    urd_err err = open_container(cx, inv->args[0], &in, &container);
    if (err != URD_OK) {
        (void)snprintf(why, sizeof why, "%.200s: no container of symbols: %s", inv->args[0],
                       urd_err_text(err));
        return client_fail(inv, err, why);
    }
    err = walk(cx, &in, &container.oti, count_symbol, counts, &never, &tally);
    stream_done(&in);
    if (err != URD_OK) return client_fail(inv, err, NULL);

    (void)sodium_bin2hex(digest, sizeof digest, container.digest, sizeof container.digest);
    bool enough = true;
    for (unsigned sbn = 0; sbn < container.oti.Z; sbn++) {
        struct urd_fountain_block block;
        if (urd_fountain_block_of(&container.oti, sbn, &block) != URD_OK) continue;
        if (counts[sbn] < block.K) enough = false;
    }
    if (inv->json)
        client_print_json(json_pack("{sIsisisIsIsbss}", "bytes", (json_int_t)container.oti.F,
                                    "symbol_size", container.oti.T, "blocks", container.oti.Z,
                                    "symbols", (json_int_t)tally.symbols, "damaged",
                                    (json_int_t)tally.damaged, "enough", enough, "digest", digest));
    else
        (void)printf("%" PRIu64 " bytes in %u blocks, symbols of %u bytes: %" PRIu64
                     " there, %" PRIu64 " damaged\n%s\ndigest %s\n",
                     container.oti.F, container.oti.Z, container.oti.T, tally.symbols,
                     tally.damaged, enough ? "enough to decode" : "NOT enough to decode", digest);
    return CLIENT_EXIT_DONE;
}
