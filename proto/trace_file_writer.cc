#include "proto/trace_file_writer.h"
