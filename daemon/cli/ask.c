/* Asking the daemon. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"

#define SYSTEM_SOCKET "/run/kith/control.sock"

int64_t ask_deadline(const struct cli *cli)
{
	return clock_mono() + cli->timeout;
}

/*
 * Where kithd of an ordinary user without XDG_RUNTIME_DIR has it; /tmp is everybody's, so the folder must be this
 * user's own.
 */
static bool private_path(char path[512])
{
	struct stat st;

	snprintf(path, 512, "/tmp/kith-%u", (unsigned)geteuid());
	if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return false;
	strcat(path, "/control.sock");
	return true;
}

/* The places to look at, in order: at most two. */
static size_t socket_paths(const struct cli *cli, char paths[2][512])
{
	const char *socket = cli_value(cli, CLI_SOCKET), *directory = getenv("KITH_RUN_DIR");
	const char *user = getenv("XDG_RUNTIME_DIR");
	size_t n = 0;

	if (!socket || !*socket)
		socket = getenv("KITH_SOCKET");
	if (socket && *socket) {
		snprintf(paths[0], 512, "%s", socket);
		return 1;
	}
	if (directory && *directory) {
		snprintf(paths[0], 512, "%s/control.sock", directory);
		return 1;
	}
	if (geteuid() != 0 && user && *user)
		snprintf(paths[n++], 512, "%s/kith/control.sock", user);
	else if (geteuid() != 0 && private_path(paths[0]))
		n++;
	snprintf(paths[n++], 512, "%s", SYSTEM_SOCKET);
	return n;
}

static void say_unreachable(struct buf *why, int error, const char *path, const struct cli *cli)
{
	if (error == -EACCES || error == -EPERM)
		buf_printf(why, "no permission for %s: be root, or of the group that owns it", path);
	else if (error == -ENAMETOOLONG)
		buf_printf(why, "%s is too long for a socket", path);
	else if (error == -ETIMEDOUT)
		buf_printf(why, "kithd at %s did not answer within %g s (--timeout)", path, (double)cli->timeout / 1e9);
	else if (error == -ENOENT || error == -ECONNREFUSED || error == -ENOTDIR)
		buf_printf(why, "kithd does not answer at %s: is it running? (kithd -f; or set KITH_SOCKET)", path);
	else
		buf_printf(why, "kithd does not answer at %s (%s): is it running? (kithd -f; or set KITH_SOCKET)", path,
		           strerror(-error));
}

int ask_open_quietly(struct cli *cli, struct client **ret_client, struct buf *why)
{
	char paths[2][512];
	size_t n = socket_paths(cli, paths), shown = n - 1;
	int error = -ENOENT;

	for (size_t i = 0; i < n; i++) {
		int r = client_open(paths[i], ask_deadline(cli), ret_client);

		if (r == 0)
			return CLI_YES;
		/* One that is there says more than one that is not. */
		if (i == 0 || (r != -ENOENT && r != -ENOTDIR)) {
			error = r;
			shown = i;
		}
	}
	if (n == 2 && (error == -ENOENT || error == -ENOTDIR))
		shown = 1;
	say_unreachable(why, error, paths[shown], cli);
	return CLI_UNREACHABLE;
}

int ask_open(struct cli *cli, struct client **ret_client)
{
	struct buf why = BUF_INIT;
	int status = ask_open_quietly(cli, ret_client, &why);

	if (status != CLI_YES)
		cli_fail("%s", buf_text(&why));
	buf_free(&why);
	return status;
}

int ask_fault(const Control__Fault *fault)
{
	struct buf text = BUF_INIT;

	out_clean(&text, fault->text);
	cli_fail("%s", buf_text(&text));
	buf_free(&text);
	if (fault->code == CONTROL__CODE__USAGE)
		return CLI_USAGE;
	return fault->code == CONTROL__CODE__NOT_FOUND ? CLI_NO : CLI_UNREACHABLE;
}

int ask_error(struct cli *cli, int error)
{
	if (error == -ETIMEDOUT)
		cli_fail("kithd did not answer within %g s: is it busy? (--timeout)", (double)cli->timeout / 1e9);
	else if (error == -EMSGSIZE)
		cli_fail("that is more than 64 KiB to ask at once: ask for less");
	else if (error == -ECONNRESET || error == -EPIPE)
		cli_fail("kithd closed the connection: it stopped, or this reader was too slow for what it watches");
	else if (error == -EPROTO)
		cli_fail("kithd gave an answer that cannot be read: is its version another one?");
	else
		cli_fail("cannot speak with kithd: %s", strerror(-error));
	return CLI_UNREACHABLE;
}

static void say_unmatched(const Control__End *end)
{
	for (size_t i = 0; i < end->n_unmatched; i++) {
		struct buf text = BUF_INIT;

		out_clean(&text, end->unmatched[i]);
		cli_fail("nothing matches \"%s\"", buf_text(&text));
		buf_free(&text);
	}
}

static int ask_each(struct cli *cli, struct client *client, const Control__Request *request, ask_fn fn, void *user, bool patient)
{
	int64_t deadline = ask_deadline(cli);
	const Control__Answer *answer;
	int r;

	r = client_send(client, request, deadline);
	if (r < 0 && r != -EPIPE)
		return ask_error(cli, r);
	/* It may have said why before it closed. */
	for (;;) {
		r = client_next(client, deadline, &answer);
		if (r < 0)
			return ask_error(cli, r);
		if (answer->is_case == CONTROL__ANSWER__IS_FAULT)
			return ask_fault(answer->fault);
		if (answer->is_case == CONTROL__ANSWER__IS_END) {
			if (!cli->unmatched_fine)
				say_unmatched(answer->end);
			return CLI_YES;
		}
		fn(answer, user);
		if (patient)
			deadline = ask_deadline(cli);
	}
}

int ask_on(struct cli *cli, struct client *client, const Control__Request *request, ask_fn fn, void *user)
{
	return ask_each(cli, client, request, fn, user, false);
}

int ask(struct cli *cli, const Control__Request *request, ask_fn fn, void *user)
{
	struct client *client;
	int status = ask_open(cli, &client);

	if (status != CLI_YES)
		return status;
	status = ask_on(cli, client, request, fn, user);
	client_close(client);
	return status;
}

int ask_long(struct cli *cli, const Control__Request *request, ask_fn fn, void *user)
{
	struct client *client;
	int status = ask_open(cli, &client);

	if (status != CLI_YES)
		return status;
	status = ask_each(cli, client, request, fn, user, true);
	client_close(client);
	return status;
}
