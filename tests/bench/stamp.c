/*
 * An action that says when it began: the time of CLOCK_MONOTONIC, ns, eight bytes in the host's order, to a datagram
 * socket. Linked statically, so that nothing is loaded before its first instruction.
 *
 *   stamp SOCKET
 */
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct timespec now;
	int64_t ns;
	int fd;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	if (argc != 2 || strlen(argv[1]) >= sizeof(to.sun_path))
		return 2;
	strcpy(to.sun_path, argv[1]);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, &ns, sizeof(ns), 0, (struct sockaddr *)&to, sizeof(to)) != sizeof(ns))
		return 1;
	close(fd);
	return 0;
}
