/* fountain/transfer/files.h -- the usual source and sink: files below a directory.
 *
 * Sending: a manifest is built from files and directories below a directory one was handed; each
 * read is checked against what the manifest saw (inode, size, mtime, ctime).
 * Receiving: blocks are written into partial files in a directory of their own (outside the root,
 * on the same filesystem), progress is journalled after fdatasync, and when everything matches the
 * files are renamed into place, with mode and mtime.  Nothing ever follows a link. */
#ifndef FOUNTAIN_TRANSFER_FILES_H
#define FOUNTAIN_TRANSFER_FILES_H

#include "fountain/transfer/manifest.h"
#include "fountain/transfer/sink.h"
#include "fountain/transfer/source.h"
#include "runtime/file.h"

struct urd_fountain_file_source; /* opaque */

/* Build a manifest of @paths (each relative and clean, a file, directory or link below @dir;
 * directories with everything in them) and a source that reads it.  An entry is named by the last
 * part of its path, like cp does, and two paths with the same last part are refused; when
 * @contents_only the one path must be a directory ("" is @dir itself) and its contents are sent
 * without it.
 * @dir           borrowed until the source is freed.
 * @symbol_bytes  T; 0: 1280.
 * @ret_manifest  initialised by the callee; urd_fountain_manifest_done() it.
 * Devices, sockets and pipes are refused.  Blocks.  Errors: URD_E_INVALID, URD_E_TOO_BIG,
 * URD_E_NOT_FOUND and the rest of runtime/file.h; @errmsg names the path. */
URD_MUST_USE urd_err urd_fountain_file_source_open(struct urd_cx *cx, struct urd_dir *dir,
                                                   const char *const *paths, uint32_t paths_count,
                                                   bool contents_only, uint32_t symbol_bytes,
                                                   struct urd_fountain_manifest *ret_manifest,
                                                   struct urd_fountain_file_source **ret,
                                                   char *errmsg, size_t errmsg_len);
/* The table for urd_fountain_send(); valid until closed. */
const struct urd_fountain_source *
urd_fountain_file_source_table(struct urd_fountain_file_source *source);
void urd_fountain_file_source_close(struct urd_fountain_file_source *source);

struct urd_fountain_file_sink; /* opaque */

struct urd_fountain_file_sink_options {
    const struct urd_fountain_manifest *manifest; /* borrowed until the sink is closed */
    struct urd_dir *partial;                      /* borrowed; for this transfer alone */
    struct urd_dir *root;                         /* borrowed; where the files are to appear */
    const char *dest; /* clean path below root that everything goes beneath, "" for the root itself;
                         missing directories are made */
    const char *rename_single;                  /* when the manifest is one file or link: the name
                                                   it takes instead of its own; NULL: its own */
    const struct urd_fountain_journal *journal; /* borrowed; NULL: nothing is remembered */
};
/* Open a sink; partial files from an earlier attempt are taken up.  Blocks.
 * Errors: URD_E_INVALID an unclean dest; URD_E_NOMEM; those of runtime/file.h. */
URD_MUST_USE urd_err
urd_fountain_file_sink_open(struct urd_cx *cx, const struct urd_fountain_file_sink_options *options,
                            struct urd_fountain_file_sink **ret);
/* The table for urd_fountain_receive(); valid until closed. */
const struct urd_fountain_sink *urd_fountain_file_sink_table(struct urd_fountain_file_sink *sink);
/* Remove the partial files that are left: the transfer is given up.  Blocks. */
URD_MUST_USE urd_err urd_fountain_file_sink_discard(struct urd_cx *cx,
                                                    struct urd_fountain_file_sink *sink);
void urd_fountain_file_sink_close(struct urd_fountain_file_sink *sink);

/* A journal in a file of its own: what a client uses.  Records of fixed size, each with a check; a
 * torn tail is cut. */
struct urd_fountain_file_journal; /* opaque */

/* Open or create the journal @path below @dir for the transfer of @manifest; one that was written
 * for another manifest is begun anew.  *@ret_finished, for free(): the blocks finished so far.
 * Blocks.  Errors: URD_E_NOMEM; those of runtime/file.h. */
URD_MUST_USE urd_err urd_fountain_file_journal_open(struct urd_cx *cx, struct urd_dir *dir,
                                                    const char *path,
                                                    const struct urd_fountain_manifest *manifest,
                                                    struct urd_fountain_file_journal **ret,
                                                    struct urd_fountain_finished **ret_finished,
                                                    uint32_t *ret_finished_count);
const struct urd_fountain_journal *
urd_fountain_file_journal_table(struct urd_fountain_file_journal *journal);
void urd_fountain_file_journal_close(struct urd_fountain_file_journal *journal);

#endif
