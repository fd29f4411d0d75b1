/* storage/value.h -- the header in front of every stored value, and its check.  Pure.
 *
 *     0  u8   version, 1
 *     1  u64  checksum: XXH3-64 over the value, seeded with that over version and key
 *     9       the value
 *
 * The seed binds a value to its key: one that turns up under another key does not match. */
#ifndef STORAGE_VALUE_H
#define STORAGE_VALUE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"
#include "storage/kv.h"

#define STORAGE_VALUE_VERSION      1u
#define STORAGE_VALUE_HEADER_BYTES 9u

/* Write the header of @value under @key to @ret_header. */
void storage_value_seal(const void *key, size_t key_len, const void *value, size_t value_len,
                        uint8_t ret_header[STORAGE_VALUE_HEADER_BYTES]);

/* Check @raw, what is stored under @key, and find the value in it (borrowed).
 * Errors: URD_E_CORRUPT; URD_E_VERSION a right checksum and a version of the future. */
URD_MUST_USE urd_err storage_value_open(const void *key, size_t key_len, struct storage_value raw,
                                        struct storage_value *ret);

#endif
