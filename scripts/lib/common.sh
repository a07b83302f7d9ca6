# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# common -- what quickstart and test share: installing packages and building
#
# The system's own tools come first: another python in PATH may lack meson or pytest.
export PATH="/usr/bin:/bin:/usr/sbin:/sbin:$PATH"

# shellcheck disable=SC2034 # used by quickstart and test
BUILD_PACKAGES=(gcc libc6-dev meson ninja-build pkg-config libuv1-dev libssl-dev libxxhash-dev
    libavahi-client-dev libavahi-core-dev libjansson-dev libedit-dev)
LIBRARIES=(libuv openssl libxxhash avahi-client avahi-core jansson libedit)

say() { printf '\n== %s\n' "$*"; }

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

can_build() {
    local tool
    for tool in cc meson ninja pkg-config; do
        command -v "$tool" >/dev/null || return 1
    done
    pkg-config --exists "${LIBRARIES[@]}"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# On systems without apt-get: says what to install, and ends.
other_system() {
    local hint
    if command -v dnf >/dev/null; then
        hint='sudo dnf install gcc meson ninja-build pkgconf-pkg-config libuv-devel openssl-devel \
    xxhash-devel avahi-devel jansson-devel libedit-devel'
    elif command -v pacman >/dev/null; then
        hint='sudo pacman -S --needed gcc meson ninja pkgconf libuv openssl xxhash avahi jansson libedit'
    elif command -v zypper >/dev/null; then
        hint='sudo zypper install gcc meson ninja pkg-config libuv-devel libopenssl-devel \
    xxhash-devel libavahi-devel libjansson-devel libedit-devel'
    elif command -v apk >/dev/null; then
        hint='sudo apk add build-base linux-headers meson pkgconf libuv-dev openssl-dev xxhash-dev \
    avahi-dev jansson-dev libedit-dev'
    else
        hint="a C compiler, meson, ninja, pkg-config and the development files of: ${LIBRARIES[*]}"
    fi
    fail "This script installs packages on Debian and Ubuntu only. Please install, then run it again:
    $hint"
}

# Installs what is not there yet. No daemon is started: a package of a server must not change what
# runs on this machine (policy-rc.d is Debian's way to say so).
install_packages() {
    local missing=() package policy=/usr/sbin/policy-rc.d
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = 'install ok installed' ] ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
        fail "Packages are missing, and this user has no sudo. As root: apt-get install ${missing[*]}"
    echo "installing: ${missing[*]}"
    [ -e $policy ] || as_root sh -c "printf '#!/bin/sh\nexit 101\n' > $policy
        chmod 755 $policy; echo lanyard > $policy.lanyard"
    local log status=0
    log=$(mktemp)
    if ! { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        status=1
        tail -20 "$log" >&2
    fi
    rm -f "$log"
    [ ! -e $policy.lanyard ] || as_root rm -f $policy $policy.lanyard
    [ $status -eq 0 ] || fail "apt-get could not install the packages (see above)."
}

# build DIR [meson option...]: configures at first, then compiles. Quiet unless it fails.
build() {
    local dir=$1 log
    shift
    mkdir -p "$dir"
    log=$dir/log.txt
    if [ ! -f "$dir/build.ninja" ]; then
        meson setup "$@" "$dir" >"$log" 2>&1 || { tail -30 "$log" >&2; return 1; }
    fi
    ninja -C "$dir" >"$log" 2>&1 || { grep -v "^\[.*\] [CL]" "$log" | tail -60 >&2; return 1; }
}
