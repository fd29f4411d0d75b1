/* vectors_fountain DIR: RFC 6330 known answers, from every .json file of a folder.
 *
 *   rfc6330-vector-1          an object: its OTI; each listed block's sizes, intermediate and
 *                             encoding symbols; and the block decoded from repair symbols alone
 *                             and from a mixture with losses
 *   rfc6330-tuples-1          rows of Tuple[K', X]
 *   rfc6330-oti-derivation-1  rows of section 4.3
 *
 * A case is an object's OTI, a block's encoding, a decoding, a row.  What differs is said on a line
 * of its own; the last line is "N passed, N failed".  Exit status 0 only when every case agrees; a
 * file that cannot be read or understood is a failed case, and so is a folder without any. */
#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <sodium.h>

#include "fountain/codec/code_internal.h"
#include "fountain/codec/fountain.h"

#define REPAIR_EXTRA 200u /* symbols beyond K after which a decoding counts as failed */

static unsigned passed, failed;

/* One case: true as long as nothing differed. */
struct checks {
    const char *name;
    bool ok;
};

static void __attribute__((format(printf, 3, 4)))
expect(struct checks *c, bool holds, const char *format, ...)
{
    if (holds) return;
    va_list args;
    va_start(args, format);
    (void)printf("%s: ", c->name);
    (void)vprintf(format, args);
    (void)printf("\n");
    va_end(args);
    c->ok = false;
}

static void settle(const struct checks *c)
{
    if (c->ok)
        passed++;
    else
        failed++;
}

/* A whole number of @object; absent or not a whole number below 2^53 differs. */
static uint64_t number(struct checks *c, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    expect(c, json_is_integer(value) && json_integer_value(value) >= 0, "no number '%s'", key);
    return json_is_integer(value) ? (uint64_t)json_integer_value(value) : 0;
}

static const char *text(struct checks *c, const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    expect(c, value != NULL, "no text '%s'", key);
    return value != NULL ? value : "";
}

static bool hex_equals(const uint8_t *bytes, size_t bytes_len, const char *hex)
{
    if (strlen(hex) != 2 * bytes_len) return false;
    for (size_t i = 0; i < bytes_len; i++) {
        char pair[3];
        (void)snprintf(pair, sizeof pair, "%02x", bytes[i]);
        if (memcmp(pair, hex + 2 * i, 2) != 0) return false;
    }
    return true;
}

static bool sha256_equals(const uint8_t *bytes, size_t bytes_len, const char *hex)
{
    uint8_t digest[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256(digest, bytes, bytes_len);
    return hex_equals(digest, sizeof digest, hex);
}

/* The generator that the vectors' objects come from. */
static uint8_t *make_object(uint64_t F, uint32_t seed)
{
    uint8_t *object = malloc((size_t)F);
    if (object == NULL) return NULL;
    for (uint64_t i = 0; i < F; i++) {
        seed = seed * UINT32_C(1664525) + UINT32_C(1013904223);
        object[i] = (uint8_t)(seed >> 24);
    }
    return object;
}

/* --- objects ------------------------------------------------------------------------- */

struct object {
    const char *name;
    struct urd_fountain_oti oti;
    uint8_t *bytes;
    uint8_t *symbol; /* T bytes of scratch */
    struct urd_fountain_object_encoder *encoder;
};

static void check_block_list(struct checks *c, const struct object *o, const json_t *file)
{
    expect(c, number(c, file, "block_count") == o->oti.Z, "block_count is not Z");
    const json_t *list = json_object_get(file, "block_K");
    if (!json_is_array(list)) return;
    expect(c, json_array_size(list) == o->oti.Z, "block_K has not Z entries");
    for (uint32_t sbn = 0; sbn < o->oti.Z && sbn < json_array_size(list); sbn++) {
        struct urd_fountain_block block = { 0 };
        expect(c, urd_fountain_block_of(&o->oti, sbn, &block) == URD_OK, "no block %u", sbn);
        expect(c, json_integer_value(json_array_get(list, sbn)) == block.K, "block %u: K is %u",
               sbn, block.K);
    }
}

/* The object's parameters, OTI bytes and content.  False when there is nothing to go on with. */
static bool open_object(struct object *o, const json_t *file)
{
    char name[300];
    (void)snprintf(name, sizeof name, "%s oti", o->name);
    struct checks c = { name, true };
    uint64_t F = number(&c, file, "F"), T = number(&c, file, "T"), Z = number(&c, file, "Z");
    uint64_t N = number(&c, file, "N"), Al = number(&c, file, "Al");
    const char *oti_hex = text(&c, file, "oti_hex");
    o->oti = (struct urd_fountain_oti){
        .F = F, .T = (uint16_t)T, .Z = (uint8_t)Z, .N = (uint16_t)N, .Al = (uint8_t)Al
    };
    bool fits = T <= UINT16_MAX && Z <= UINT8_MAX && N <= UINT16_MAX && Al <= UINT8_MAX;
    bool valid = fits && urd_fountain_oti_validate(&o->oti) == URD_OK;
    expect(&c, valid, "parameters are refused");
    if (valid) {
        uint8_t bytes[URD_FOUNTAIN_OTI_LEN];
        struct urd_fountain_oti parsed = { 0 };
        urd_fountain_oti_encode(&o->oti, bytes);
        expect(&c, hex_equals(bytes, sizeof bytes, oti_hex), "OTI differs");
        expect(&c, urd_fountain_oti_parse(bytes, sizeof bytes, &parsed) == URD_OK, "OTI refused");
        expect(&c,
               parsed.F == F && parsed.T == T && parsed.Z == Z && parsed.N == N && parsed.Al == Al,
               "OTI parses to something else");
        check_block_list(&c, o, file);
        o->bytes = make_object(F, (uint32_t)number(&c, file, "seed"));
        o->symbol = malloc(T);
        expect(&c, o->bytes != NULL && o->symbol != NULL, "out of memory");
        valid = o->bytes != NULL && o->symbol != NULL;
    }
    if (valid) {
        expect(&c, sha256_equals(o->bytes, (size_t)F, text(&c, file, "data_sha256")),
               "object differs");
        valid = urd_fountain_object_encoder_new(&o->oti, o->bytes, &o->encoder) == URD_OK;
        expect(&c, valid, "no encoder");
    }
    settle(&c);
    return valid;
}

static void check_symbol(struct checks *c, const struct object *o, uint32_t sbn,
                         const json_t *symbol)
{
    uint32_t esi = (uint32_t)number(c, symbol, "esi");
    urd_err err = urd_fountain_object_encoder_symbol(o->encoder, sbn, esi, o->symbol);
    expect(c, err == URD_OK, "symbol %u: %s", esi, urd_err_name(err));
    if (err != URD_OK) return;

    uint8_t id[URD_FOUNTAIN_PAYLOAD_ID_LEN];
    urd_fountain_payload_id_encode((uint8_t)sbn, esi, id);
    expect(c, hex_equals(id, sizeof id, text(c, symbol, "payload_id_hex")),
           "symbol %u: payload id differs", esi);
    expect(c, sha256_equals(o->symbol, o->oti.T, text(c, symbol, "sha256")),
           "symbol %u: bytes differ", esi);
    const char *hex = json_string_value(json_object_get(symbol, "hex"));
    expect(c, hex == NULL || hex_equals(o->symbol, o->oti.T, hex), "symbol %u: hex differs", esi);
}

static void check_intermediate(struct checks *c, const struct object *o, uint32_t sbn, uint32_t L,
                               const char *sha256)
{
    struct urd_fountain_encoder *encoder = NULL;
    urd_err err = urd_fountain_object_encoder_block(o->encoder, sbn, &encoder);
    expect(c, err == URD_OK, "no encoder: %s", urd_err_name(err));
    if (err != URD_OK) return;

    crypto_hash_sha256_state state;
    uint8_t digest[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256_init(&state);
    for (uint32_t i = 0; i < L; i++) {
        err = urd_fountain_encoder_intermediate(encoder, i, o->symbol);
        expect(c, err == URD_OK, "intermediate symbol %u: %s", i, urd_err_name(err));
        (void)crypto_hash_sha256_update(&state, o->symbol, o->oti.T);
    }
    (void)crypto_hash_sha256_final(&state, digest);
    expect(c, hex_equals(digest, sizeof digest, sha256), "intermediate symbols differ");
}

static void check_encoding(const struct object *o, uint32_t sbn,
                           const struct urd_fountain_block *block, const json_t *listed)
{
    char name[300];
    (void)snprintf(name, sizeof name, "%s block %u", o->name, sbn);
    struct checks c = { name, true };
    uint32_t K_prime = 0, L = 0;
    expect(&c, urd_fountain_extended_block(block->K, &K_prime, &L) == URD_OK, "K is refused");
    expect(&c, number(&c, listed, "K") == block->K, "K is %u", block->K);
    expect(&c, number(&c, listed, "K_prime") == K_prime, "K' is %u", K_prime);
    expect(&c, number(&c, listed, "L") == L, "L is %u", L);
    check_intermediate(&c, o, sbn, L, text(&c, listed, "intermediate_sha256"));

    const json_t *symbols = json_object_get(listed, "symbols");
    expect(&c, json_array_size(symbols) > 0, "no symbols");
    for (size_t i = 0; i < json_array_size(symbols); i++)
        check_symbol(&c, o, sbn, json_array_get(symbols, i));
    settle(&c);
}

/* Decode block @sbn, whose source symbols arrive with a chance of @keep in 256, then repair symbols
 * from
 * @first_repair on, until it is complete. */
static void check_decoding(const struct object *o, uint32_t sbn,
                           const struct urd_fountain_block *block, unsigned keep,
                           uint32_t first_repair)
{
    char name[300];
    (void)snprintf(name, sizeof name, "%s block %u, %u/256 of its source", o->name, sbn, keep);
    struct checks c = { name, true };
    struct urd_fountain_object_decoder *decoder = NULL;
    uint8_t *bytes = malloc((size_t)block->len);
    urd_err err = urd_fountain_object_decoder_new(&o->oti, UINT64_MAX, &decoder);
    expect(&c, err == URD_OK && bytes != NULL, "no decoder");

    uint32_t random = sbn + keep;
    uint32_t limit = block->K + REPAIR_EXTRA;
    for (uint32_t i = 0; c.ok && urd_fountain_object_decoder_missing(decoder, sbn) > 0; i++) {
        random = random * UINT32_C(1664525) + UINT32_C(1013904223);
        if (i < block->K && (random >> 24) >= keep) continue;
        uint32_t esi = i < block->K ? i : first_repair + (i - block->K);
        expect(&c, i < block->K + limit, "not decoded after %u repair symbols", limit);
        err = urd_fountain_object_encoder_symbol(o->encoder, sbn, esi, o->symbol);
        expect(&c, err == URD_OK, "symbol %u: %s", esi, urd_err_name(err));
        err = urd_fountain_object_decoder_add(decoder, sbn, esi, o->symbol, o->oti.T);
        expect(&c, err == URD_OK, "symbol %u is refused: %s", esi, urd_err_name(err));
    }
    if (c.ok) {
        err = urd_fountain_object_decoder_read(decoder, sbn, bytes, (size_t)block->len);
        expect(&c, err == URD_OK, "not readable: %s", urd_err_name(err));
        expect(&c, memcmp(bytes, o->bytes + block->offset, (size_t)block->len) == 0,
               "decoded block differs");
    }
    free(bytes);
    urd_fountain_object_decoder_free(decoder);
    settle(&c);
}

static void run_object(const char *name, const json_t *file)
{
    struct object o = { .name = name };
    if (open_object(&o, file)) {
        const json_t *blocks = json_object_get(file, "blocks");
        struct checks c = { name, true };
        expect(&c, json_array_size(blocks) > 0, "no blocks");
        for (size_t i = 0; i < json_array_size(blocks); i++) {
            const json_t *listed = json_array_get(blocks, i);
            uint32_t sbn = (uint32_t)number(&c, listed, "sbn");
            struct urd_fountain_block block;
            urd_err err = urd_fountain_block_of(&o.oti, sbn, &block);
            expect(&c, err == URD_OK, "no block %u", sbn);
            if (err != URD_OK) continue;
            check_encoding(&o, sbn, &block, listed);
            check_decoding(&o, sbn, &block, 0, block.K);
            check_decoding(&o, sbn, &block, 192, UINT32_C(1) << 20);
            urd_fountain_object_encoder_drop(o.encoder, sbn);
        }
        if (!c.ok) settle(&c);
    }
    urd_fountain_object_encoder_free(o.encoder);
    free(o.bytes);
    free(o.symbol);
}

/* --- tables of rows ------------------------------------------------------------------ */

static void run_tuple(struct checks *c, const json_t *row)
{
    uint32_t K_prime = (uint32_t)number(c, row, "K_prime");
    uint32_t isi = (uint32_t)number(c, row, "isi");
    struct urd_fountain_code code;
    urd_err err = urd_fountain_code_for(K_prime, &code);
    expect(c, err == URD_OK && code.K_prime == K_prime, "K' = %u is none", K_prime);
    if (err != URD_OK) return;
    struct urd_fountain_tuple t = urd_fountain_tuple(&code, isi);
    expect(c,
           t.d == number(c, row, "d") && t.a == number(c, row, "a") && t.b == number(c, row, "b") &&
               t.d1 == number(c, row, "d1") && t.a1 == number(c, row, "a1") &&
               t.b1 == number(c, row, "b1"),
           "Tuple[%u, %u] differs", K_prime, isi);
}

static void run_derivation(struct checks *c, const json_t *row)
{
    uint64_t F = number(c, row, "F"), P_prime = number(c, row, "P_prime");
    struct urd_fountain_wish wish = { .F = F,
                                      .P_prime = (uint16_t)P_prime,
                                      .Al = (uint8_t)number(c, row, "Al"),
                                      .SS = (uint16_t)number(c, row, "SS"),
                                      .WS = number(c, row, "WS") };
    struct urd_fountain_oti oti;
    urd_err err = urd_fountain_oti_derive(&wish, &oti);
    expect(c, err == URD_OK, "F = %" PRIu64 ", P' = %" PRIu64 ": %s", F, P_prime,
           urd_err_name(err));
    if (err != URD_OK) return;
    uint8_t bytes[URD_FOUNTAIN_OTI_LEN];
    urd_fountain_oti_encode(&oti, bytes);
    expect(c,
           oti.T == number(c, row, "T") && oti.Z == number(c, row, "Z") &&
               oti.N == number(c, row, "N"),
           "F = %" PRIu64 ", P' = %" PRIu64 ": T, Z or N differs", F, P_prime);
    expect(c, hex_equals(bytes, sizeof bytes, text(c, row, "oti_hex")),
           "F = %" PRIu64 ", P' = %" PRIu64 ": OTI differs", F, P_prime);
}

static void run_rows(const char *name, const json_t *rows,
                     void (*run)(struct checks *c, const json_t *row))
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        struct checks c = { name, true };
        run(&c, json_array_get(rows, i));
        settle(&c);
    }
    struct checks c = { name, true };
    expect(&c, json_array_size(rows) > 0, "no rows");
    if (!c.ok) settle(&c);
}

/* --- files --------------------------------------------------------------------------- */

static void run_file(const char *dir, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    json_error_t error;
    json_t *file = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    struct checks c = { name, true };
    expect(&c, file != NULL, "line %d: %s", error.line, error.text);
    if (file != NULL) {
        const char *format = text(&c, file, "format");
        if (strcmp(format, "rfc6330-vector-1") == 0)
            run_object(name, file);
        else if (strcmp(format, "rfc6330-tuples-1") == 0)
            run_rows(name, json_object_get(file, "tuples"), run_tuple);
        else if (strcmp(format, "rfc6330-oti-derivation-1") == 0)
            run_rows(name, json_object_get(file, "rows"), run_derivation);
        else
            expect(&c, false, "unknown format '%s'", format);
    }
    if (!c.ok) settle(&c);
    json_decref(file);
}

static int is_json(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return len > 5 && entry->d_name[0] != '.' && strcmp(entry->d_name + len - 5, ".json") == 0;
}

int main(int argc, char **argv)
{
    if (argc != 2 || sodium_init() < 0) {
        (void)fprintf(stderr, "usage: %s DIR\n", argv[0]);
        return 2;
    }
    struct dirent **entries = NULL;
    int count = scandir(argv[1], &entries, is_json, alphasort);
    if (count <= 0) {
        (void)printf("%s: no vectors\n", argv[1]);
        failed++;
    }
    for (int i = 0; i < count; i++) {
        run_file(argv[1], entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    (void)printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
