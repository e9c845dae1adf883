# Sluice. `make help` lists what can be asked of it.
BUILD  ?= build
CC     ?= cc
V      ?= 0
Q      := $(if $(filter 1,$(V)),,@)
say     = $(if $(filter 1,$(V)),@:,@printf '  %-7s %s\n' $(1) $(2))

PKGS     := yaml-0.1 jansson libseccomp libmnl
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
            -Wformat=2 -Wundef -Wvla -Wno-unused-parameter $(if $(CI),-Werror)
HARDEN   := -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2 -fPIE
HARDEN   += $(if $(filter x86_64,$(shell uname -m)),-fcf-protection)
OPT      ?= -O2 -g
CFLAGS   += -std=gnu11 -D_GNU_SOURCE -pthread -I. $(OPT) $(WARNINGS) $(HARDEN) $(SANITIZE)
CFLAGS   += $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDFLAGS  += -pthread -pie -Wl,-z,relro,-z,now,-z,noexecstack $(SANITIZE)
LDLIBS   += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm

# proxy/main/ is the composition root; everything else is a library that the tests link too.
MAIN_SRC := $(wildcard proxy/main.c proxy/main/*.c)
LIB_SRC  := $(filter-out $(MAIN_SRC),$(wildcard proxy/*.c proxy/*/*.c proxy/base/conf/*.c xdp/*.c))
UNIT_SRC := $(wildcard tests/unit/*.c)
MAIN_OBJ := $(MAIN_SRC:%.c=$(BUILD)/%.o)
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)

.PHONY: all
all: deps $(BUILD)/sluice

$(BUILD)/sluice: $(MAIN_OBJ) $(BUILD)/libsluice.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/libsluice.a: $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/libsluice.a
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< $(BUILD)/libsluice.a $$(pkg-config --libs check) $(LDLIBS)

-include $(MAIN_OBJ:.o=.d) $(LIB_OBJ:.o=.d) $(UNIT_BIN:=.d)
