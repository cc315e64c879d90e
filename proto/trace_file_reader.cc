#include "proto/trace_file_reader.h"
