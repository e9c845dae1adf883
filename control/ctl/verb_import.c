/* SPDX-License-Identifier: Apache-2.0
 *
 * `import-haproxy`: an haproxy.cfg becomes a sluice.yaml. It asks no proxy anything.
 *
 * Failure modes: a file that cannot be read or written, one that has nothing of mode tcp, and with
 * --strict one that has more than Sluice can carry; what was carried is written then all the same.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl/ctl.h"
#include "control/ctl/haproxy/haproxy.h"
#include "control/ctl/verbs.h"

/* More than any that is real, and little enough for what comes of it to be one of Sluice's. */
#define FILE_BYTES_MAX (1u << 20)

/* The whole file with a NUL behind it; the caller frees it. */
static int read_file(const char *path, char **ret_bytes, size_t *ret_size)
{
	FILE *file = fopen(path, "re");
	char *bytes = NULL;
	int err = 0;

	if (!file)
		return -errno;
	bytes = malloc(FILE_BYTES_MAX + 1);
	size_t size = bytes ? fread(bytes, 1, FILE_BYTES_MAX + 1, file) : 0;

	if (!bytes)
		err = -ENOMEM;
	else if (ferror(file))
		err = errno ? -errno : -EIO;
	else if (size > FILE_BYTES_MAX)
		err = -EFBIG;
	fclose(file);
	if (err < 0) {
		free(bytes);
		return err;
	}
	*ret_bytes = bytes;
	*ret_size = size;
	return 0;
}

static int write_file(const char *path, const char *text, size_t size)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return ctl_fail("%s: %s", path, strerror(errno));
	size_t written = fwrite(text, 1, size, file);

	if (fclose(file) != 0 || written != size)
		return ctl_fail("%s: %s", path, strerror(errno));
	return CTL_OK;
}

static int write_result(const struct ctl *ctl, const char *text, size_t size)
{
	const char *path = args_option(&ctl->args, "--output");

	if (path)
		return write_file(path, text, size);
	fwrite(text, 1, size, stdout);
	fflush(stdout); /* a failure shows at the end of main() */
	return CTL_OK;
}

static int summarize(const struct ctl *ctl, const struct hap *hap, int code)
{
	size_t lost = hap_notes_count(hap, HAP_LOST), notes = hap_notes_count(hap, HAP_NOTE);

	if (lost || notes)
		fprintf(stderr,
			"sluicectl: %s: not carried: %zu, notes: %zu; comments in the result say "
			"what and why\n",
			ctl->args.words[0], lost, notes);
	return code == CTL_OK && lost && args_option(&ctl->args, "--strict") ? CTL_REFUSED : code;
}

static int convert(const struct ctl *ctl, struct hap *hap)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return ctl_fail("out of memory");
	int err = hap_convert(hap, out), code;

	if (fclose(out) != 0)
		code = ctl_fail("out of memory");
	else if (err < 0)
		code = ctl_fail(
			"%s: nothing of mode tcp with an address to bind and a server in it",
			ctl->args.words[0]);
	else
		code = summarize(ctl, hap, write_result(ctl, text, size));
	free(text);
	return code;
}

int verb_import_haproxy(struct ctl *ctl)
{
	const char *path = ctl->args.words[0], *name = strrchr(path, '/');
	struct hap hap = {0};
	char *bytes = NULL;
	size_t size = 0;
	int err = read_file(path, &bytes, &size);

	if (err < 0)
		return ctl_fail("%s: %s", path, strerror(-err));
	hap_read(&hap, name ? name + 1 : path, bytes, size);
	int code = convert(ctl, &hap);

	hap_fini(&hap);
	free(bytes);
	return code;
}
