#!/usr/bin/env bash
# Build the parts of SUNDIALS that rattling uses: tools/build_sundials.sh PREFIX [SOURCE]
# Static and shared, position-independent, without BLAS, LAPACK or KLU. SOURCE is an unpacked
# source; without it a release is downloaded.
set -euo pipefail
version=${SUNDIALS_VERSION:-7.5.0}
prefix=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source=${2:-$work/sundials-$version}
if [ $# -lt 2 ]; then
  curl -fsSL "https://github.com/LLNL/sundials/releases/download/v$version/sundials-$version.tar.gz" | tar xz -C "$work"
fi
options=(-DBUILD_ARKODE=OFF -DBUILD_CVODES=OFF -DBUILD_IDA=OFF -DBUILD_IDAS=OFF
  -DEXAMPLES_ENABLE_C=OFF -DEXAMPLES_ENABLE_CXX=OFF -DEXAMPLES_INSTALL=OFF
  -DENABLE_LAPACK=OFF -DENABLE_KLU=OFF -DSUNDIALS_ENABLE_ERROR_CHECKS=OFF)
cmake -S "$source" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$prefix" \
  -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_POSITION_INDEPENDENT_CODE=ON "${options[@]}" >/dev/null
cmake --build "$work/build" -j"$(getconf _NPROCESSORS_ONLN)" >/dev/null
cmake --install "$work/build" >/dev/null
