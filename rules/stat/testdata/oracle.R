# What R says of random and hand-made data: one JSON object a line, read by oracle_test.go. "make oracle" runs it.
# Every answer is R's own but the odds ratio, which is solved anew because fisher.test stops at four digits.
suppressPackageStartupMessages({ library(survival); library(coin) })
set.seed(20260216)
RNGkind("Mersenne-Twister", "Inversion", "Rejection")

num <- function(v) {
  v <- as.numeric(v)
  out <- sprintf("%.13g", v)
  out[!is.finite(v)] <- "null"   # not estimable, or no limit
  out
}
arr <- function(v) if (is.list(v)) paste0("[", paste(sapply(v, arr), collapse = ","), "]") else paste0("[", paste(num(v), collapse = ","), "]")
line <- function(kind, ...) {
  f <- list(...)
  cat('{"kind":"', kind, '"', paste0(',"', names(f), '":', unlist(f), collapse = ""), "}\n", sep = "")
}

# Shares: binom.test's Clopper-Pearson limits.
share <- function(n, of) line("share", n = n, of = of, limits = arr(binom.test(n, of)$conf.int))
for (of in c(1, 2, 6, 7, 13, 14)) for (n in 0:of) share(n, of)
for (i in 1:60) { of <- sample(c(20:99, 100:9999), 1); share(sample(c(0:3, 0:of), 1), of) }

# Two shares: fisher.test.
odds <- function(n1, of1, n2, of2) {
  m <- of1; k <- n1 + n2; lo <- max(0, k - of2); hi <- min(k, m)
  if (lo == hi) return(c(NA, 0, NA))
  s <- lo:hi
  w <- dhyper(s, m, of2, k, log = TRUE)
  p <- function(b) { d <- exp(w + b * s - max(w + b * s)); d / sum(d) }
  solve <- function(f) exp(uniroot(f, c(-50, 50), tol = 1e-15, maxiter = 10000)$root)
  c(if (n1 == lo) 0 else if (n1 == hi) Inf else solve(function(b) sum(s * p(b)) - n1),
    if (n1 == lo) 0 else solve(function(b) sum(p(b)[s >= n1]) - 0.025),
    if (n1 == hi) Inf else solve(function(b) sum(p(b)[s <= n1]) - 0.025))
}
small <- function(odds) pmin(odds, 1 / odds)
two <- function(n1, of1, n2, of2) {
  f <- fisher.test(matrix(c(n1, of1 - n1, n2, of2 - n2), 2))
  o <- odds(n1, of1, n2, of2)
  if (!is.na(o[1])) stopifnot(abs(small(c(f$estimate, f$conf.int)) - small(o)) < 2e-4)   # uniroot's own tolerance
  line("shares", n1 = n1, of1 = of1, n2 = n2, of2 = of2, p = num(f$p.value), odds = arr(o))
}
for (x in list(c(5, 7, 4, 7), c(1, 7, 1, 7), c(3, 7, 2, 7), c(7, 7, 2, 7), c(0, 7, 7, 7), c(0, 7, 0, 7), c(7, 7, 7, 7), c(1, 1, 0, 1), c(0, 1, 3, 90),
               c(10, 100, 10, 100), c(300, 5000, 360, 5000))) two(x[1], x[2], x[3], x[4])
for (i in 1:150) { of <- sample(c(1:20, 1:20, 21:400), 2, TRUE); two(sample(0:of[1], 1), of[1], sample(0:of[2], 1), of[2]) }

# Two groups of values: wilcox.test, and coin where there are ties. Small ones with ties are counted out as well.
rank_sum <- function(a, b) {
  ties <- anyDuplicated(c(a, b)) > 0
  exact <- length(a) < 50 && length(b) < 50
  w <- suppressWarnings(wilcox.test(a, b, exact = exact && !ties, correct = TRUE))
  p <- w$p.value
  if (length(unique(c(a, b))) == 1) p <- 1   # coin and wilcox.test give none
  else if (exact && ties) {
    d <- data.frame(v = c(a, b), g = factor(rep(1:2, c(length(a), length(b)))))
    p <- as.numeric(pvalue(wilcox_test(v ~ g, d, distribution = "exact")))
    if (nrow(d) <= 14) {
      r <- rank(d$v); mid <- length(a) * (nrow(d) + 1) / 2
      stopifnot(isTRUE(all.equal(p, mean(abs(combn(r, length(a), sum) - mid) >= abs(sum(r[seq_along(a)]) - mid)))))
    }
  }
  line("ranks", a = arr(a), b = arr(b), w = num(w$statistic), p = num(p), exact = if (exact) "true" else "false",
       quantiles = arr(quantile(a, c(0, 0.1, 0.25, 0.5, 0.75, 1), type = 7)))
}
rank_sum(3, 3); rank_sum(1, 2); rank_sum(c(1, 2, 3), c(4, 5, 6)); rank_sum(rep(5, 6), rep(5, 7)); rank_sum(c(18, 17, 21, 18, 16, 25, 14), c(16, 14, 15, 18, 16, 13, 22))
rank_sum(rep(5, 60), rep(5, 70)); rank_sum(rep(1, 49), rep(2, 49)); rank_sum(1:50, 26:75 + 0.5)
for (i in 1:150) {
  n <- if (i %% 10 == 0) sample(50:90, 2) else if (i %% 5 == 0) sample(15:49, 2) else sample(1:9, 2, TRUE)
  draw <- if (i %% 2) function(n, s) round(rexp(n, 1 / 20) + s, 5) else function(n, s) rpois(n, 6 + s)
  rank_sum(draw(n[1], 0), draw(n[2], sample(c(0, 0, 3), 1)))
}

# Times to an event: survfit and survdiff. A group is its times and events; times with many ties, few, or none.
km <- function(t, e) {
  s <- survfit(Surv(t, e) ~ 1, conf.type = "log-log")
  keep <- seq_along(s$time)
  if (length(keep) > 10) keep <- sort(unique(c(1, sample(keep, 8), length(keep))))
  q <- summary(s)$table[c("median", "0.95LCL", "0.95UCL")]
  r <- summary(survfit(Surv(t, 1 - e) ~ 1, conf.type = "log-log"))$table[c("median", "0.95LCL", "0.95UCL")]
  steps <- lapply(keep, function(i) c(s$time[i], s$n.risk[i], s$n.event[i], s$n.censor[i], s$surv[i], s$surv[i] * s$std.err[i], s$lower[i], s$upper[i]))
  paste0('{"times":', arr(t), ',"events":', arr(e), ',"steps":', arr(steps), ',"median":', arr(q), ',"followUp":', arr(r), "}")
}
times <- function(...) {
  groups <- list(...)
  t <- unlist(lapply(groups, `[[`, 1)); e <- unlist(lapply(groups, `[[`, 2))
  g <- factor(rep(seq_along(groups), sapply(groups, function(x) length(x[[1]]))))
  test <- list(NA, NA, NA)
  expected <- rep(NA, length(groups))
  if (nlevels(g) > 1 && any(e == 1)) {
    d <- try(survdiff(Surv(t, e) ~ g), silent = TRUE)
    if (!inherits(d, "try-error")) {
      expected <- d$exp
      df <- sum(d$exp > 0) - 1
      if (df > 0) test <- list(d$chisq, df, pchisq(d$chisq, df, lower.tail = FALSE))
    }
  }
  line("times", groups = paste0("[", paste(sapply(groups, function(x) km(x[[1]], x[[2]])), collapse = ","), "]"), logrank = arr(unlist(test)),
       expected = arr(expected))
}
two_arms <- list(list(c(1, 2.04, 2.3, 3.9, 4.4, 6.2, 10.1), c(0, 1, 1, 1, 1, 1, 1)), list(c(1.9, 2.04, 2.1, 2.1, 4.2, 8, 76), c(1, 1, 1, 1, 1, 1, 0)))
do.call(times, two_arms)
do.call(times, two_arms[c(1, 1)])                          # equal groups
times(list(5, 1)); times(list(5, 0)); times(list(c(0, 0, 3), c(1, 0, 1)))
times(list(c(1, 2, 3, 4), c(1, 1, 0, 0)))                  # on one half to the end
times(list(c(1, 2, 3, 4), c(1, 1, 0, 1)))                  # on one half until the last
times(list(c(2, 2, 2), c(1, 1, 1)), list(c(2, 2), c(1, 1))) # all at once: nothing to compare
times(list(c(1, 2), c(1, 1)), list(c(0.5, 0.7), c(0, 0)))  # a group never at risk of anything
times(list(c(1, 2), c(0, 0)), list(c(3, 4), c(0, 0)))      # nobody has the event
do.call(times, c(two_arms, list(list(0.5, 0))))            # two that compare, and a group that left before the first event
for (i in 1:300) {
  k <- if (i %% 6 == 0) 3 else if (i %% 25 == 0) 4 else 2
  groups <- lapply(1:k, function(j) {
    n <- if (i %% 50 == 0) sample(100:250, 1) else sample(c(1:12, 7, 7, 20:40), 1)
    t <- rexp(n, 1 / 10) * sample(c(1, 1, 2), 1)
    t <- switch(i %% 3 + 1, round(t, 4), round(t, 1) + 0.1, ceiling(t / 2))
    e <- switch(i %% 7 + 1, rep(1, n), rbinom(n, 1, 0.15), rbinom(n, 1, 0.5), rbinom(n, 1, 0.8), as.numeric(t <= 8), as.numeric(seq_len(n) == 1), if (j == 1) rep(0, n) else rbinom(n, 1, 0.7))
    list(t, e)
  })
  do.call(times, groups)
}

# A share that must not be above a limit: the tail of the beta distribution.
for (i in 1:100) {
  a <- sample(c(0.3, 0.6, 1, 2.5), 1); b <- sample(c(0.7, 1.4, 1, 4), 1); limit <- sample(c(0.1, 0.3, 0.33, 0.5), 1)
  of <- sample(c(0:14, 15:300), 1); n <- sample(c(0:of, 0:min(of, 5)), 1)
  line("posterior", alpha = num(a), beta = num(b), limit = num(limit), n = n, of = of, p = num(pbeta(limit, a + n, b + of - n, lower.tail = FALSE)))
}
