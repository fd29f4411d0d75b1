/* Any bytes as the fields of a key: a text that is taken, put again, gives the bytes it was taken
 * from; and any bytes put as a text come back, and sort as they did. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "storage/bytes.h"
#include "storage/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len);

static void take(const uint8_t *bytes, size_t len)
{
    uint8_t text[STORAGE_KEY_BYTES_MAX];
    struct storage_key_reader reader = { .at = bytes, .left = len };
    struct storage_key again = { 0 };
    size_t text_len;
    while (storage_key_take_text(&reader, text, sizeof text, &text_len) &&
           again.len <= STORAGE_KEY_BYTES_MAX)
        storage_key_add_text(&again, text, text_len);
    if (again.len > STORAGE_KEY_BYTES_MAX) return;
    assert((size_t)(reader.at - bytes) == again.len);
    assert(memcmp(again.bytes, bytes, again.len) == 0);
}

static void put(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    struct storage_key ka, kb;
    uint8_t text[STORAGE_KEY_BYTES_MAX];
    size_t text_len;
    struct storage_key_reader reader;
    storage_key_init(&ka, STORAGE_TABLE_LABEL);
    storage_key_add_text(&ka, a, a_len);
    storage_key_init(&kb, STORAGE_TABLE_LABEL);
    storage_key_add_text(&kb, b, b_len);
    if (ka.len > STORAGE_KEY_BYTES_MAX || kb.len > STORAGE_KEY_BYTES_MAX) return;
    int texts = storage_compare(a, a_len, b, b_len);
    int keys = storage_compare(ka.bytes, ka.len, kb.bytes, kb.len);
    assert((texts < 0) == (keys < 0) && (texts > 0) == (keys > 0));
    bool taken = storage_key_read(&reader, ka.bytes, ka.len, STORAGE_TABLE_LABEL) &&
                 storage_key_take_text(&reader, text, sizeof text, &text_len);
    assert(taken && reader.left == 0 && storage_compare(text, text_len, a, a_len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_len)
{
    char line[40];
    take(bytes, bytes_len);
    storage_key_print(bytes, bytes_len, line, sizeof line);
    if (bytes_len < 1) return 0;
    size_t cut = bytes[0] % bytes_len;
    put(bytes, cut, bytes + cut, bytes_len - cut);
    return 0;
}
