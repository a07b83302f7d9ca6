/* SPDX-License-Identifier: MIT */
#include "discovery/backend.h"

void browser_heard(struct browser *w, AvahiBrowserEvent event, struct sighting s) {
    s.here = event == AVAHI_BROWSER_NEW;
    if (event == AVAHI_BROWSER_FAILURE)
        w->on_failure(w);
    else if (event == AVAHI_BROWSER_NEW || event == AVAHI_BROWSER_REMOVE)
        w->on_service(w, &s);
}
