#include <config.h>

#include "host/impl.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"

#define LIBRARY_SIZE_MAX (64u << 20)
/* The descriptor as of ABI 1.0; a shorter one was never made. */
#define DESCRIPTOR_SIZE_MIN (offsetof(struct kith_plugin, on_transition) + sizeof(void *))

#if __SIZEOF_POINTER__ == 8
#define ELF_CLASS_OURS ELFCLASS64
#else
#define ELF_CLASS_OURS ELFCLASS32
#endif

/* The machine that this program itself was built for: whatever holds a symbol of ours begins with its ELF header. */
static unsigned elf_machine(void)
{
	Dl_info info;

	if (!dladdr((const void *)(uintptr_t)elf_machine, &info) || !info.dli_fbase)
		return EM_NONE;
	return ((const ElfW(Ehdr) *)info.dli_fbase)->e_machine;
}

/*
 * Linkers write the section headers last. Is the last one written? A file that was given its size first (cp of a file with holes, rsync with
 * preallocation) is all there but for zeros.
 */
static bool elf_end_is_there(const char *data, size_t size, const ElfW(Ehdr) *e)
{
	ElfW(Shdr) sh;

	if (!e->e_shoff || !e->e_shnum)
		return true;
	if (e->e_shoff > size || e->e_shentsize != sizeof(sh) || (uint64_t)e->e_shnum * sizeof(sh) > size - e->e_shoff)
		return false;
	memcpy(&sh, data + e->e_shoff + (size_t)(e->e_shnum - 1) * sizeof(sh), sizeof(sh));
	return sh.sh_type != SHT_NULL;
}

/* Is all of it there? A part that is missing would be a SIGBUS later. */
static int elf_check(const char *data, size_t size, struct buf *why)
{
	ElfW(Ehdr) e;

	if (size < sizeof(e) || memcmp(data, ELFMAG, SELFMAG) != 0) {
		buf_puts(why, "not an ELF file");
		return -ENOEXEC;
	}
	memcpy(&e, data, sizeof(e));
	if (e.e_ident[EI_CLASS] != ELF_CLASS_OURS || e.e_machine != elf_machine()) {
		buf_puts(why, "an ELF file for another kind of machine");
		return -ENOEXEC;
	}
	if (e.e_type != ET_DYN || e.e_phentsize != sizeof(ElfW(Phdr))) {
		buf_puts(why, "an ELF file, but no shared object: build it with -shared -fPIC");
		return -ENOEXEC;
	}
	if (e.e_phoff > size || (uint64_t)e.e_phnum * sizeof(ElfW(Phdr)) > size - e.e_phoff)
		goto half;
	for (unsigned i = 0; i < e.e_phnum; i++) {
		ElfW(Phdr) ph;

		memcpy(&ph, data + e.e_phoff + i * sizeof(ph), sizeof(ph));
		if (ph.p_type == PT_LOAD && (ph.p_offset > size || ph.p_filesz > size - ph.p_offset))
			goto half;
	}
	if (!elf_end_is_there(data, size, &e))
		goto half;
	return 0;
half:
	buf_puts(why, "half of a file: its end is missing; waiting until it is complete");
	return -ENODATA;
}

/* A private copy in memory, sealed: overwriting a plugin in place (cp) would otherwise change or cut what is mapped. */
static int library_snapshot(const char *path, int *ret_fd, struct buf *why)
{
	char name[64], *data = NULL;
	const char *base = strrchr(path, '/');
	size_t size = 0, at = 0;
	int fd, r;

	r = file_read_all(path, LIBRARY_SIZE_MAX, &data, &size);
	if (r < 0) {
		buf_printf(why, "it cannot be read: %s", strerror(-r));
		return r;
	}
	r = elf_check(data, size, why);
	if (r < 0)
		goto out;
	snprintf(name, sizeof(name), "kith-%s", base ? base + 1 : path);
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0) {
		r = -errno;
		buf_printf(why, "no memory for it: %s", strerror(-r));
		goto out;
	}
	while (at < size) {
		ssize_t n = write(fd, data + at, size - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			r = n < 0 ? -errno : -EIO;
			buf_printf(why, "no memory for it: %s", strerror(-r));
			close(fd);
			goto out;
		}
		at += (size_t)n;
	}
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
	*ret_fd = fd;
	r = 0;
out:
	free(data);
	return r;
}

/* dlopen's message without the name that it knows the snapshot by */
static void library_dlerror(const char *snapshot, struct buf *why)
{
	const char *text = dlerror();
	size_t n = strlen(snapshot);

	if (!text)
		text = "the dynamic linker refuses it";
	if (!strncmp(text, snapshot, n) && text[n] == ':')
		text += n + 1 + (text[n + 1] == ' ');
	buf_printf(why, "it does not link: %s", text);
}

static int descriptor_check(const struct library *l, struct buf *why)
{
	const struct kith_plugin *d = l->descriptor;
	const ElfW(Sym) *symbol = NULL;
	Dl_info info;

	if (!dladdr1(d, &info, (void **)&symbol, RTLD_DL_SYMENT) || !symbol)
		symbol = NULL;
	if ((symbol && symbol->st_size < DESCRIPTOR_SIZE_MIN) || d->size < DESCRIPTOR_SIZE_MIN ||
	    (symbol && symbol->st_size < d->size)) {
		buf_printf(why, "its descriptor is too short: %zu bytes, ABI %d.%d has %zu; build it against this kith/plugin.h",
		           symbol && symbol->st_size < d->size ? (size_t)symbol->st_size : (size_t)d->size, KITH_ABI_MAJOR,
		           KITH_ABI_MINOR, DESCRIPTOR_SIZE_MIN);
		return -EPROTO;
	}
	if (d->abi_major != KITH_ABI_MAJOR) {
		buf_printf(why, "it speaks ABI %u.%u, this kithd %d.%d: another major; build it again", d->abi_major, d->abi_minor,
		           KITH_ABI_MAJOR, KITH_ABI_MINOR);
		return -EPROTO;
	}
	if (d->abi_minor > KITH_ABI_MINOR) {
		buf_printf(why, "it speaks ABI %u.%u, newer than this kithd's %d.%d; update kithd", d->abi_major, d->abi_minor,
		           KITH_ABI_MAJOR, KITH_ABI_MINOR);
		return -EPROTO;
	}
	if (!d->init || !d->name || (d->n_options && (!d->options || d->option_size < sizeof(struct kith_option))) ||
	    (d->n_families && !d->families)) {
		buf_puts(why, "its descriptor lacks a name, init, or a table that it counts");
		return -EPROTO;
	}
	if ((d->provides & KITH_PROVIDES_RESYNC) && !d->resync) {
		buf_puts(why, "its descriptor says that it provides resync, but has none");
		return -EPROTO;
	}
	return 0;
}

int library_open(const char *path, struct library **ret_library, struct buf *why)
{
	struct library *l = calloc(1, sizeof(*l));
	char snapshot[64];
	int r;

	if (!l)
		return -ENOMEM;
	l->references = 1;
	l->fd = -1;
	r = library_snapshot(path, &l->fd, why);
	if (r < 0)
		goto fail;
	snprintf(snapshot, sizeof(snapshot), "/proc/self/fd/%d", l->fd);
	/* For debuggers and profilers, which want the real name */
	if (getenv("KITH_PLUGIN_DIRECT"))
		l->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	else
		l->handle = dlopen(snapshot, RTLD_NOW | RTLD_LOCAL);
	r = -ELIBBAD;
	if (!l->handle) {
		library_dlerror(snapshot, why);
		goto fail;
	}
	l->descriptor = dlsym(l->handle, "kith_plugin");
	if (!l->descriptor) {
		buf_puts(why, "it has no descriptor: no symbol kith_plugin; see kith-plugin(7)");
		goto fail;
	}
	r = descriptor_check(l, why);
	if (r < 0)
		goto fail;
	*ret_library = l;
	return 0;
fail:
	library_release(l);
	return r;
}

void library_hold(struct library *l)
{
	l->references++;
}

/*
 * Is it mapped after dlclose? Then its descriptor stays open for good: a later snapshot would get the same number, and with it the name by
 * which the dynamic linker would find the old code.
 */
static bool library_stays(const struct library *l)
{
	char snapshot[64];
	void *again;

	if (l->fd < 0 || getenv("KITH_PLUGIN_DIRECT"))
		return false;
	snprintf(snapshot, sizeof(snapshot), "/proc/self/fd/%d", l->fd);
	again = dlopen(snapshot, RTLD_NOW | RTLD_NOLOAD);
	if (again)
		dlclose(again);
	return again;
}

void library_release(struct library *l)
{
	if (!l || --l->references)
		return;
	if (l->handle)
		dlclose(l->handle);
	if (l->handle && library_stays(l))
		log_notice("a plugin cannot be unmapped (linked with -z nodelete, or of C++ with unique symbols): its old code stays in memory");
	else if (l->fd >= 0)
		close(l->fd);
	free(l);
}
