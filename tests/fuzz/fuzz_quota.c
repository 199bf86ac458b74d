/* A message of the family VFS_DQUOT, whatever it holds */
#include <stdlib.h>
#include <string.h>

#include "source/quota.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kith_quota_event e;
	unsigned char *message = malloc(size + 1); /* of its own size: what is read beyond it is found */

	if (!message)
		return 0;
	memcpy(message, data, size);
	if (quota_parse(message, size, &e) && (e.kind > KITH_QUOTA_OTHER || e.size != sizeof(e)))
		abort();
	free(message);
	return 0;
}
