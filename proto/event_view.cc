#include "proto/event_view.h"
