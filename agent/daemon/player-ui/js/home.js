/* The first page: the lesson of this period large with one button, where the teacher stopped, today's periods, the shelf by
   subject, and how tomorrow looks. Drawn from `api/home` alone. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  var MOST_RESUME = 3;
  /* 学科 tiles beside the one that leads to all. */
  var MOST_SUBJECTS = 6;

  function two(n) { return (n < 10 ? '0' : '') + n; }

  /* Minutes of the day as 8:05. */
  BBT.dayTime = function (minutes) { return Math.floor(minutes / 60) + ':' + two(minutes % 60); };

  /* The school's wall clock {minutes, weekday 1-7} now, or null where no clock can be believed. */
  BBT.wall = function () {
    var clock = BBT.data.home && BBT.data.home.clock, at;
    if (!clock || !clock.now) { return null; }
    at = new Date(Date.parse(clock.now) + (Date.now() - BBT.data.answeredAt) + clock.utc_offset_min * 60000);
    return isNaN(at.getTime()) ? null : { minutes: at.getUTCHours() * 60 + at.getUTCMinutes(), weekday: at.getUTCDay() || 7 };
  };

  /* '2026-11-24' as 11月24日 星期二. */
  BBT.dateWords = function (date) {
    var at = new Date(date + 'T00:00:00Z');
    if (isNaN(at.getTime())) { return date; }
    return t('date.day', { month: at.getUTCMonth() + 1, day: at.getUTCDate() }) + ' ' + t('date.weekday' + (at.getUTCDay() || 7));
  };

  function dateLines(date, week) {
    return [h('strong', { text: t('home.today') }), h('span', { text: BBT.dateWords(date) }), week ? h('span', { text: t('home.week', { n: week }) }) : null];
  }

  /* How long something takes, roughly, as people say it. */
  BBT.about = function (seconds) {
    if (seconds < 60) { return t('about.moment'); }
    if (seconds < 3600) { return t('about.minutes', { n: Math.round(seconds / 60) }); }
    return t('about.hours', { n: Math.round(seconds / 3600) });
  };

  /* The grade of this classroom, as its name begins in words, in short or in figures, or ''. */
  BBT.data.grade = function () {
    var device = BBT.data.home && BBT.data.home.device;
    var place = (device && device.placement) || BBT.membership().place || {};
    var name = (place && place.classroom) || '', figure = /^[1-9]/.exec(name);
    function begins(with_) { return BBT.grades.filter(function (grade) { return with_(grade); })[0] || ''; }
    if (figure) { return BBT.grades[Number(figure[0]) - 1]; }
    return begins(function (grade) { return name.indexOf(grade) === 0; }) ||
      begins(function (grade) { return grade.length === 3 && name.charAt(0) === grade.charAt(0); });
  };

  /* Where the lessons of a subject are, at this class's grade if there are any. A timetable says it shorter than a book. */
  BBT.shelfOf = function (subject) {
    var facets = (BBT.data.home && BBT.data.home.facets) || [], grade = BBT.data.grade(), name, has;
    function named(fits) { return facets.map(function (facet) { return facet.subject; }).filter(fits)[0]; }
    name = !subject ? '' : named(function (one) { return one === subject; }) ||
      named(function (one) { return one && (one.indexOf(subject) === 0 || subject.indexOf(one) === 0); }) || '';
    has = facets.some(function (facet) { return (!name || facet.subject === name) && facet.grade === grade; });
    return BBT.shelfHash({ subject: name, grade: has ? grade : '' });
  };

  BBT.homeButton = function () {
    return BBT.button({ icon: 'home', text: t('home.home'), 'class': 'button-home', onclick: function () { BBT.go('#/'); } });
  };

  BBT.backButton = function () {
    return BBT.button({ icon: 'back', text: t('home.back'), 'class': 'button-back', onclick: function () { BBT.leave('#/'); } });
  };

  /* All that is on its way: {n, percent, words}, or null. */
  BBT.arriving = function () {
    var arriving = BBT.data.home && BBT.data.home.arriving, done = 0, total = 0, eta = 0, percent, words, at;
    if (!arriving || !arriving.total) { return null; }
    arriving.list.forEach(function (one) {
      done += one.done_bytes || 0;
      total += one.total_bytes || 0;
      eta = Math.max(eta, one.eta_s || 0);
    });
    percent = total ? Math.min(99, Math.floor(done * 100 / total)) : 0;
    at = BBT.timeOf(arriving.next_at);
    words = arriving.held_back ? t('arriving.waiting', { n: arriving.total }) : t('arriving.words', { n: arriving.total, percent: percent });
    if (eta) { words += t('arriving.eta', { about: BBT.about(eta) }); }
    if (at) { words += t('arriving.next_at', { time: at }); }
    return { n: arriving.total, percent: percent, words: words };
  };

  function chosenPeriod(home, picked) {
    var periods = (home.today && home.today.periods) || [];
    function of(state) { return periods.filter(function (p) { return p.state === state; })[0]; }
    if (picked !== null) {
      return periods.filter(function (p) { return p.number === picked; })[0] || null;
    }
    return of('now') || (home.next && home.next.period) || of('next') || null;
  }

  function lessonOf(home, period) {
    var next = home.next;
    if (period.lesson) { return { lesson: period.lesson, suggested: false }; }
    if (next && next.period && next.period.number === period.number && !next.lesson && next.suggestion) {
      return { lesson: next.suggestion, suggested: true };
    }
    return { lesson: null, suggested: false };
  }

  function when(period) {
    return t('period.number', { n: period.number }) + '  ' + BBT.dayTime(period.from_min) + '–' + BBT.dayTime(period.to_min);
  }

  /* Straight into the lesson's first item, or to its page where it has several kinds of trouble. */
  function startLesson(lesson) {
    BBT.go(lesson.state === 'ready' && lesson.items ? BBT.itemHash(lesson.id, 0) : '#/lesson/' + encodeURIComponent(lesson.id));
  }

  function heroButton(options) {
    return BBT.button({ icon: options.icon, text: options.text, 'class': 'hero-go', onclick: options.onclick });
  }

  function hero(home, picked) {
    var period = chosenPeriod(home, picked), found, lesson, state, tone, ready;
    if (!period) { return heroWithout(home); }
    found = lessonOf(home, period);
    lesson = found.lesson;
    tone = BBT.subjectEntry(period.subject).colour;
    if (!lesson) {
      return h('section', { 'class': 'hero tone-' + tone }, [
        h('p', { 'class': 'hero-when' }, [h('strong', { text: t('period.' + period.state) }), h('span', { text: when(period) })]),
        h('h1', { text: period.subject }),
        h('p', { 'class': 'hero-place', text: t(period.planned ? 'home.not_here' : 'home.not_planned') }),
        heroButton({ icon: 'book', text: t('home.choose'), onclick: function () { BBT.go(BBT.shelfOf(period.subject)); } })
      ]);
    }
    state = BBT.stateOf(lesson);
    ready = lesson.state === 'ready';
    return h('section', { 'class': 'hero tone-' + tone, 'data-lesson': lesson.id }, [
      h('p', { 'class': 'hero-when' }, [
        h('strong', { text: t('period.' + period.state) }), h('span', { text: when(period) }), h('span', { text: period.subject })
      ]),
      h('h1', { text: BBT.titleOf(lesson) }),
      h('p', { 'class': 'hero-place', text: (found.suggested ? t('home.suggested') + ' · ' : '') + BBT.placeOf(lesson, ['grade', 'chapter', 'period']) }),
      h('div', { 'class': 'hero-foot' }, [
        ready ? heroButton({ icon: 'play', text: t('lesson.start'), onclick: function () { startLesson(lesson); } })
          : heroButton({ icon: 'book', text: t('home.other_lesson'), onclick: function () { BBT.go(BBT.shelfOf(period.subject)); } }),
        h('a', { 'class': 'hero-more', href: '#/lesson/' + encodeURIComponent(lesson.id) }, ready ? [
          h('span', { text: t('home.look', { n: lesson.items || 0 }) })
        ] : [BBT.icon(state.icon), h('span', { text: state.text })])
      ])
    ]);
  }

  function heroResume(one) {
    var lesson = one.lesson;
    return h('section', { 'class': 'hero tone-' + BBT.subjectEntry(lesson.subject).colour, 'data-lesson': lesson.id }, [
      h('p', { 'class': 'hero-when' }, [h('strong', { text: t('home.resume') }), h('span', { text: lesson.subject })]),
      h('h1', { text: BBT.titleOf(lesson) }),
      h('p', { 'class': 'hero-place', text: [one.item_title, one.position_ms ? BBT.clock(one.position_ms / 1000) : ''].filter(Boolean).join(' · ') }),
      h('div', { 'class': 'hero-foot' }, [
        heroButton({ icon: 'play', text: t('home.go_on'), onclick: function () { BBT.go(BBT.itemHash(lesson.id, one.item || 0)); } }),
        h('a', { 'class': 'hero-more', href: BBT.shelfOf('') }, [h('span', { text: t('home.other_lesson') })])
      ])
    ]);
  }

  /* No period to teach for: the day is over, it is a holiday, or there is no timetable. */
  function heroWithout(home) {
    var today = home.today || { periods: [] }, key;
    if (home.preparing) {
      key = 'preparing';
    } else if (!home.counts || !home.counts.total) {
      key = 'empty';
    } else {
      key = today.source === 'none' ? 'free' : today.date === null ? 'no_clock' : today.day_name ? 'holiday' : today.periods.length ? 'over' : 'no_class';
    }
    /* With nothing to choose from, a question which lesson leads nowhere. */
    if ((key === 'free' || key === 'no_class') && !home.counts.ready) { key = 'unready'; }
    /* Nobody knows the period: then where the class stopped is the likeliest. */
    if ((key === 'free' || key === 'no_clock') && home.resume && home.resume.length) { return heroResume(home.resume[0]); }
    return h('section', { 'class': 'hero hero-plain' }, [
      h('h1', { text: t('hero.' + key, { name: today.day_name || '' }) }),
      h('p', { 'class': 'hero-place', text: t('hero.' + key + '_text', { n: !home.counts ? 0 : key === 'unready' ? home.counts.total : home.counts.ready, name: today.day_name || '' }) }),
      key === 'preparing' || key === 'empty' ? null
        : heroButton({ icon: 'book', text: t('home.choose'), onclick: function () { BBT.go(BBT.shelfOf('')); } })
    ]);
  }

  function resumeCard(home) {
    var list = (home.resume || []).slice(0, MOST_RESUME);
    return h('section', { 'class': 'resume' }, [
      h('h2', { text: t('home.resume') }),
      list.length ? h('div', { 'class': 'resume-list' }, list.map(function (one) {
        var lesson = one.lesson, at = one.position_ms ? BBT.clock(one.position_ms / 1000) : '';
        return h('a', { 'class': 'resume-row', href: BBT.itemHash(lesson.id, one.item || 0), 'data-resume': lesson.id }, [
          h('span', { 'class': 'resume-glyph tone-' + BBT.subjectEntry(lesson.subject).colour, text: BBT.subjectEntry(lesson.subject).glyph, 'aria-hidden': 'true' }),
          h('span', { 'class': 'resume-words' }, [
            h('strong', { text: BBT.titleOf(lesson) }),
            h('small', { text: [one.item_title, at].filter(Boolean).join(' · ') })
          ]),
          BBT.icon('play')
        ]);
      })) : h('p', { 'class': 'resume-none', text: t('home.resume_none') })
    ]);
  }

  function periodRow(home, chosen, pick) {
    var today = home.today || { periods: [] };
    var label = today.date ? dateLines(today.date, today.week)
      : [h('strong', { text: t('home.timetable') }), today.source === 'none' ? null : h('span', { text: t('home.no_clock') })];
    return h('section', { 'class': 'periods', 'aria-label': t('home.timetable') }, [
      h('div', { 'class': 'periods-label' }, label),
      today.days && today.days.length ? h('div', { 'class': 'periods-list' }, today.days.map(function (day) {
        return h('div', { 'class': 'period period-day' }, [
          h('span', { 'class': 'period-time', text: t('date.weekday' + day.day) }),
          h('small', { text: day.periods.map(function (period) { return period.subject; }).join(' ') })
        ]);
      })) : today.periods.length ? h('div', { 'class': 'periods-list' }, today.periods.map(function (period) {
        return h('button', {
          type: 'button', 'class': 'period period-' + (today.date ? period.state : 'later') + (chosen === period ? ' period-chosen' : ''),
          'aria-pressed': chosen === period ? 'true' : 'false', onclick: function () { pick(period.number); }
        }, [
          h('span', { 'class': 'period-time', text: period.number + '  ' + BBT.dayTime(period.from_min) }),
          h('strong', { text: period.subject }),
          h('small', { text: period.lesson ? BBT.titleOf(period.lesson) : '' })
        ]);
      })) : h('p', { 'class': 'periods-none', text: t(today.source === 'none' ? 'home.no_timetable' : today.day_name ? 'home.holiday' : 'home.no_periods', { name: today.day_name || '' }) })
    ]);
  }

  /* 语文; 信息 over 科技. */
  function nameLines(name) {
    var half = Math.ceil(name.length / 2);
    return (name.length < 4 ? [name] : [name.slice(0, half), name.slice(half)]).map(function (line) { return h('span', { text: line }); });
  }

  /* Subjects of the shelf: those taught to this grade first. */
  function subjectTiles(home) {
    var facets = home.facets || [], grade = BBT.data.grade(), seen = {}, names = [];
    facets.forEach(function (facet) {
      if (!facet.subject) { return; }
      if (!seen[facet.subject]) { seen[facet.subject] = { own: false }; names.push(facet.subject); }
      if (facet.grade === grade) { seen[facet.subject].own = true; }
    });
    names.sort(function (a, b) { return (seen[b].own ? 1 : 0) - (seen[a].own ? 1 : 0) || BBT.bySubject(a, b); });
    names = names.slice(0, MOST_SUBJECTS).sort(BBT.bySubject);
    return h('nav', { 'class': 'subjects', 'aria-label': t('home.shelf') }, names.map(function (name) {
      var entry = BBT.subjectEntry(name);
      return h('a', { 'class': 'subject', href: BBT.shelfOf(name), 'data-subject': name }, [
        h('span', { 'class': 'subject-glyph tone-' + entry.colour, text: entry.glyph, 'aria-hidden': 'true' }), h('span', { 'class': 'subject-name' }, nameLines(name))
      ]);
    }));
  }

  /* {light, title, text} of tomorrow. */
  BBT.tomorrow = function () {
    var tomorrow = (BBT.data.home && BBT.data.home.tomorrow) || { light: 'unknown', items: [] }, counts = {};
    tomorrow.items.forEach(function (item) { counts[item.why] = (counts[item.why] || 0) + 1; });
    function part(key) { return counts[key] ? t('tomorrow.n_' + key, { n: counts[key] }) : ''; }
    return {
      light: tomorrow.light, title: t('tomorrow.' + tomorrow.light),
      text: ['missing', 'withdrawn', 'arriving', 'not_planned', 'ready'].map(part).filter(Boolean).slice(0, 2).join(t('list.comma')) || t('tomorrow.none_text')
    };
  };

  function tomorrowCard() {
    var day = BBT.tomorrow();
    return h('a', { 'class': 'tomorrow tomorrow-' + day.light, href: '#/tomorrow' }, [
      h('span', { 'class': 'light', 'aria-hidden': 'true' }, [BBT.icon(day.light === 'green' ? 'check' : day.light === 'red' ? 'warn' : day.light === 'yellow' ? 'arrive' : 'question')]),
      h('span', { 'class': 'tomorrow-words' }, [h('strong', { text: day.title }), h('small', { text: day.text })]),
      BBT.icon('chevron')
    ]);
  }

  /* One thing that somebody here should answer or know. */
  function word(home) {
    var repair = (home.repairs || []).filter(function (one) { return one.state === 'fixed'; })[0];
    if (home.exam && home.exam.state === 'soon') {
      return h('div', { 'class': 'banner banner-exam' }, [BBT.icon('clock'), h('strong', { text: t('exam.soon') }),
        h('span', { 'class': 'banner-text', text: t('exam.soon_text', { name: home.exam.name || '', time: BBT.timeOf(home.exam.from) }) })]);
    }
    if (!repair) { return null; }
    return h('div', { 'class': 'banner banner-repair' }, [
      BBT.icon('wrench'), h('strong', { text: t('repair.ask_short') }),
      h('span', { 'class': 'banner-text', text: BBT.faultWords(repair) }),
      BBT.button({ text: t('repair.answer'), onclick: function () { BBT.go('#/repair/' + encodeURIComponent(repair.fault)); } })
    ]);
  }

  BBT.view('home', function () {
    var el = h('div', { 'class': 'view view-home' });
    var picked = null, drawn = '', strips;

    function draw() {
      var home = BBT.data.home, chosen;
      if (!home) {
        BBT.empty(el).appendChild(BBT.message({ icon: 'book', title: t('shelf.loading') }));
        return;
      }
      chosen = chosenPeriod(home, picked);
      BBT.data.keepBriefs([].concat(home.today ? home.today.periods.map(function (p) { return p.lesson; }) : [],
        (home.resume || []).map(function (one) { return one.lesson; }), home.next ? [home.next.suggestion] : []));
      BBT.empty(el);
      [
        word(home),
        h('div', { 'class': 'home-top' }, [hero(home, picked), resumeCard(home)]),
        periodRow(home, chosen && (home.today.periods || []).filter(function (p) { return p.number === chosen.number; })[0], function (number) { picked = number; update(); fit(); }),
        h('div', { 'class': 'home-bottom' }, [subjectTiles(home), tomorrowCard()])
      ].forEach(function (part) { if (part) { el.appendChild(part); } });
    }

    function update() {
      var home = BBT.data.home;
      /* Only what is drawn counts: seconds that pass are no reason to take a button from under a finger. */
      var now = JSON.stringify([home && [home.today, home.next, home.resume, home.tomorrow, home.facets, home.counts, home.repairs, home.exam && home.exam.state, home.preparing, home.device], picked, BBT.language]);
      var list, left, focus, chosen;
      if (now === drawn && el.firstChild) { return; }
      drawn = now;
      list = el.querySelector('.periods-list');
      left = list ? list.scrollLeft : 0;
      focus = document.activeElement && el.contains(document.activeElement) ? document.activeElement.className : null;
      draw();
      list = el.querySelector('.periods-list');
      if (list) {
        list.scrollLeft = left;
        chosen = list.querySelector('.period-chosen');
        if (chosen && chosen.offsetLeft + chosen.offsetWidth > list.offsetLeft + left + list.clientWidth) { list.scrollLeft = chosen.offsetLeft - list.offsetLeft - list.clientWidth / 2; }
      }
      if (focus) { [].filter.call(el.querySelectorAll('a, button'), function (one) { return one.className === focus; }).slice(0, 1).forEach(function (one) { one.focus(); }); }
    }

    /* Notices, disks and banners take room: the large button must never be what is cut off. */
    function fit() {
      var top = el.querySelector('.home-top'), card = el.querySelector('.hero');
      if (!card) { return; }
      BBT.toggle(top, 'tight', false);
      BBT.toggle(top, 'roomy', card.clientHeight > 18 * parseFloat(window.getComputedStyle(document.documentElement).fontSize));
      BBT.toggle(top, 'tight', window.innerWidth > 760 && card.scrollHeight > card.clientHeight + 1);
    }

    update();
    /* Told before it is painted: nobody sees the button cut off, not even for a moment. */
    strips = new window.MutationObserver(fit);
    [BBT.disks.el, BBT.notices.strip, BBT.banner.el].forEach(function (strip) { strips.observe(strip, { childList: true, subtree: true }); });
    window.addEventListener('resize', fit);
    return {
      el: el, update: function () { update(); fit(); }, mounted: fit,
      destroy: function () {
        strips.disconnect();
        window.removeEventListener('resize', fit);
      },
      dock: [
        h('div', { 'class': 'dock-start' }, [
          BBT.button({ icon: 'search', text: t('home.search'), 'class': 'button-primary button-wide', onclick: function () { BBT.go('#/search'); } }),
          BBT.button({ icon: 'book', text: t('home.all'), onclick: function () { BBT.go(BBT.shelfOf('')); } }),
          BBT.button({ icon: 'check', text: t('check.short'), 'class': 'button-check', onclick: function () { BBT.go('#/check'); } })
        ]),
        h('div', { 'class': 'dock-end' }, [
          BBT.button({ icon: 'phone', text: t('home.help'), onclick: function () { BBT.go('#/help'); } }),
          BBT.button({ icon: 'wrench', text: t('home.fault'), onclick: function () { BBT.go('#/fault'); } }),
          BBT.button({ icon: 'moon', text: t('app.blackout'), 'class': 'button-dark', onclick: function () { BBT.blackout(); } }),
          BBT.button({ icon: 'more', text: t('home.more'), 'class': 'button-more', onclick: function () { BBT.go('#/more'); } })
        ])
      ]
    };
  });
}());
