#include "control/frame.h"

#include <stdlib.h>

bool frame_write(FILE *to, const Control__Answer *answer)
{
	size_t size = control__answer__get_packed_size(answer);
	uint8_t *packed = malloc(FRAME_HEADER + size);
	bool good;

	if (!packed)
		return false;
	frame_put_length(packed, size);
	control__answer__pack(answer, packed + FRAME_HEADER);
	good = fwrite(packed, FRAME_HEADER + size, 1, to) == 1;
	free(packed);
	return good;
}
