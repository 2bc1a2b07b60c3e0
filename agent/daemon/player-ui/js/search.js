/* Search: what is typed is looked for at each key, by characters, pinyin or its initials. The agent does the looking. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  var MOST = 30, LONGEST = 40;

  /* `text` with the [start, length] stretches of it marked, counted as JavaScript counts. */
  function marked(text, stretches) {
    var parts = h('span', {}), at = 0;
    function add(tag, end) {
      if (end > at) { parts.appendChild(h(tag, { text: text.slice(at, end) })); }
      at = Math.max(at, end);
    }
    (stretches || []).slice().sort(function (a, b) { return a[0] - b[0]; }).forEach(function (stretch) {
      add('span', stretch[0]);
      add('mark', stretch[0] + stretch[1]);
    });
    add('span', text.length);
    return parts;
  }

  /* A hit in an item leads to the item, and says which. */
  function row(hit) {
    var lesson = hit.lesson, inItem = hit.item !== null && hit.item !== undefined;
    var title = marked(BBT.titleOf(lesson), inItem ? [] : hit.field && hit.field !== 'title' ? [] : hit.matched);
    var card = BBT.lessonCard(lesson, { title: title }), place = card.querySelector('.card-place');
    place.textContent = BBT.placeOf(lesson, ['subject', 'grade', 'chapter', 'period']);
    if (inItem && hit.item_title) {
      BBT.empty(place).appendChild(marked(hit.item_title, hit.matched));
      place.classList.add('card-item');
    }
    if (inItem && lesson.state === 'ready') { card.setAttribute('href', BBT.itemHash(lesson.id, hit.item)); }
    return card;
  }

  function hints() {
    return h('div', { 'class': 'search-hints' }, [
      h('h2', { text: t('search.how') }),
      h('ul', {}, [1, 2, 3].map(function (n) {
        return h('li', {}, [h('kbd', { text: t('search.example' + n) }), h('span', { text: t('search.example' + n + '_text') })]);
      }))
    ]);
  }

  BBT.view('search', function (where) {
    var typed = (where.query.q || '').slice(0, LONGEST);
    var input = h('input', {
      'class': 'search-input', type: 'text', inputmode: 'none', maxlength: LONGEST, autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false',
      'aria-label': t('home.search'), placeholder: t('search.placeholder')
    });
    var count = h('p', { 'class': 'search-count', role: 'status' });
    var results = h('div', { 'class': 'results' });
    var call = null, answer = null, failed = false, round = BBT.data.round, timer = null, ended = false;
    var el = h('div', { 'class': 'view view-search' }, [
      h('section', { 'class': 'search-left' }, [
        h('div', { 'class': 'search-box' }, [BBT.icon('search'), input]), count,
        BBT.keyboard({
          onkey: function (letter) { write(insert(letter)); },
          ondelete: function () { write(input.selectionStart === input.selectionEnd ? typed.slice(0, -1) : ''); },
          onclear: function () { write(''); }
        })
      ]),
      results
    ]);

    function insert(letter) { return input.selectionStart !== input.selectionEnd ? letter : typed + letter; }

    function draw() {
      var top = results.scrollTop;
      BBT.empty(results);
      if (!typed.trim()) {
        count.textContent = '';
        results.appendChild(hints());
      } else if (answer) {
        count.textContent = answer.total ? t('search.count', { n: answer.total }) : '';
        if (answer.hits.length) {
          answer.hits.forEach(function (hit) { results.appendChild(row(hit)); });
        } else {
          results.appendChild(BBT.message({ icon: 'search', title: t('search.none_title'), text: t('search.none_text') }));
        }
      } else if (failed) {
        results.appendChild(BBT.message({ icon: 'warn', title: t('api.no_answer') }));
      }
      results.scrollTop = top;
    }

    function ask() {
      window.clearTimeout(timer);
      timer = null;
      round = BBT.data.round;
      if (call) { call.abort(); call = null; }
      if (!typed.trim()) { answer = null; draw(); return; }
      call = BBT.api.get('api/search?q=' + encodeURIComponent(typed.trim()) + '&limit=' + MOST, function (ok, body) {
        call = null;
        if (ended) { return; }
        failed = !ok;
        if (ok && body) {
          answer = body;
          BBT.data.keepBriefs(body.hits.map(function (hit) { return hit.lesson; }));
        } else {
          answer = null;
        }
        draw();
      });
    }

    function write(text) {
      typed = text.slice(0, LONGEST).replace(/^\s+/, '');
      if (input.value !== typed) { input.value = typed; }
      results.scrollTop = 0;
      /* So that Back from a lesson finds the same results. */
      BBT.quietly('#/search' + (typed ? '?q=' + encodeURIComponent(typed) : ''));
      ask();
    }

    input.value = typed;
    input.addEventListener('input', function () { write(input.value); });
    draw();
    ask();
    return {
      el: el,
      mounted: function () { input.focus(); },
      update: function () {
        if (typed && round !== BBT.data.round && !timer && !call) { timer = window.setTimeout(ask, 2500); }
      },
      destroy: function () {
        ended = true;
        window.clearTimeout(timer);
        if (call) { call.abort(); }
      },
      key: function (event) {
        var first;
        if (event.key === 'Enter' && event.target === input) {
          first = results.querySelector('[data-lesson]');
          if (first) { window.location.hash = first.getAttribute('href'); }
          return true;
        }
        if (event.target === input) { return false; }
        if (event.key.length === 1 && event.key !== ' ') { input.focus(); write(typed + event.key); return true; }
        if (event.key === 'Backspace') { input.focus(); write(typed.slice(0, -1)); return true; }
        return false;
      },
      dock: [h('div', { 'class': 'dock-start' }, [BBT.homeButton(), BBT.button({ icon: 'book', text: t('home.all'), onclick: function () { BBT.go(BBT.shelfOf('')); } })])]
    };
  });
}());
