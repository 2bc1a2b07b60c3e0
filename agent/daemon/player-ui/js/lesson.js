/* One lesson: what it holds in teaching order, or in words why it cannot be taught yet. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;

  /* An item's name where its place is counted: files are called `1 看`, `02-听`, and one number is enough. */
  BBT.itemTitle = function (item, index) {
    var own = /^0*(\d{1,3})[\s._、，,:：)）-]+([^\s\d].*)$/.exec(item.title);
    return own && Number(own[1]) === index + 1 ? own[2] : item.title;
  };

  function itemRow(lesson, item, index) {
    return h('a', {
      'class': 'item-row', href: BBT.itemHash(lesson.id, index), 'data-item': String(index), 'data-kind': item.kind
    }, [
      h('span', { 'class': 'item-number', text: String(index + 1) }),
      h('span', { 'class': 'item-icon item-icon-' + BBT.kindIcon(item.kind) }, [BBT.icon(BBT.kindIcon(item.kind))]),
      h('span', { 'class': 'item-title', text: BBT.itemTitle(item, index) }),
      h('span', { 'class': 'item-kind' }, [
        h('span', { text: t('kind.' + BBT.kindIcon(item.kind)) }),
        item.duration_ms ? h('small', { text: BBT.clock(item.duration_ms / 1000) }) : null
      ]),
      BBT.icon('chevron', 'item-go')
    ]);
  }

  function waiting(lesson) {
    var free = BBT.data.shelf && BBT.data.shelf.disk ? BBT.data.shelf.disk.free_bytes : 0;
    var key = BBT.data.reasonKey(lesson);
    if (lesson.state === 'failed') {
      return BBT.message({
        icon: 'warn', 'class': 'message-failed',
        title: t('lesson.failed_title', { reason: t(key) }),
        text: t(key + '.fix', { free: BBT.bytes(free) }),
        more: h('div', {}, [
          h('p', { text: t(lesson.retrying ? 'failed.retrying' : 'failed.not_retrying') }),
          lesson.detail ? h('p', { 'class': 'detail', text: t('lesson.detail', { detail: lesson.detail }) }) : null
        ])
      });
    }
    if (lesson.state === 'fetching') {
      return BBT.message({
        icon: 'arrive', title: t('lesson.arriving_title'), text: t('lesson.arriving_text'),
        more: h('div', { 'class': 'arriving' }, [
          h('div', { 'class': 'arriving-percent', text: BBT.data.percent(lesson) + '%' }),
          BBT.progressBar(lesson),
          h('p', {
            text: t('lesson.arriving_bytes', {
              done: BBT.bytes(lesson.done_bytes), total: BBT.bytes(lesson.total_bytes)
            })
          })
        ])
      });
    }
    return BBT.message({ icon: 'clock', title: t('lesson.queued_title'), text: t('lesson.queued_text') });
  }

  function heading(lesson) {
    var meta = BBT.data.meta(lesson);
    var subject = BBT.subjectEntry(meta.subject || '');
    return h('header', { 'class': 'lesson-head tone-' + subject.colour }, [
      h('div', { 'class': 'lesson-glyph', text: subject.glyph, 'aria-hidden': 'true' }),
      h('p', { 'class': 'lesson-place', text: BBT.placeOf(lesson, ['stage', 'subject', 'grade']) }),
      h('h1', { text: BBT.titleOf(lesson) }),
      h('p', { 'class': 'lesson-place', text: BBT.placeOf(lesson, ['chapter', 'period']) }),
      h('p', { 'class': 'lesson-edition', text: meta.edition || '' })
    ]);
  }

  BBT.itemHash = function (id, index) {
    return '#/lesson/' + encodeURIComponent(id) + '/' + index;
  };

  BBT.lessonView = function (id) {
    var body = h('div', { 'class': 'view view-lesson' });
    var drawn = '';
    var start = BBT.button({
      icon: 'play', text: t('lesson.start'), 'class': 'button-primary',
      onclick: function () { BBT.go(BBT.itemHash(id, 0)); }
    });

    function content(lesson) {
      if (lesson.state !== 'ready') { return waiting(lesson); }
      if (!lesson.items || !lesson.items.length) {
        return BBT.message({ icon: 'book', title: t('lesson.no_items_title'), text: t('lesson.no_items_text') });
      }
      return h('div', { 'class': 'items' }, lesson.items.map(function (item, index) {
        return itemRow(lesson, item, index);
      }));
    }

    function update() {
      var lesson = BBT.data.lesson(id), known = lesson || BBT.data.brief(id);
      var now = JSON.stringify([lesson, known, BBT.data.gone(id), BBT.language]);
      var list = body.querySelector('.lesson-main');
      var top = list ? list.scrollTop : 0;
      /* A finger may be on it. */
      if (now === drawn) { return; }
      drawn = now;
      BBT.empty(body);
      if (!known || BBT.data.gone(id)) {
        body.appendChild(BBT.data.gone(id)
          ? BBT.message({ icon: 'search', title: t('lesson.gone_title'), text: t('lesson.gone_text') })
          : BBT.message({ icon: 'book', title: t('shelf.loading') }));
        BBT.toggle(start, 'hidden', true);
        return;
      }
      BBT.toggle(start, 'hidden', !lesson || lesson.state !== 'ready' || !lesson.items || !lesson.items.length);
      list = h('main', { 'class': 'lesson-main' }, [lesson ? content(lesson) : null]);
      body.appendChild(heading(known));
      body.appendChild(list);
      list.scrollTop = top;
    }

    update();
    return {
      el: body, update: update,
      dock: [
        BBT.button({ icon: 'back', text: t('lesson.back'), 'class': 'button-back', onclick: function () { BBT.leave('#/'); } }),
        h('div', { 'class': 'dock-middle' }),
        h('div', { 'class': 'dock-end' }, [start])
      ]
    };
  };
}());
